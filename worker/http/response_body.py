"""Reading the body of an answer: piece by piece, under caps of size, silence and slowness."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import httpx

from contract.errors.catalogue.provider import ANSWER_ENCODED, ANSWER_TOO_LARGE, PROVIDER_TIMEOUT
from worker.answers.errors import TimedOut, Unusable
from worker.memory.body_room import BodyRoom

LEAST_PER_S = 1024  # bytes; an answer that comes slower is as good as none
MAX_COMMENT = 4096  # bytes; what is longer is no comment

_KEEP_ALIVE = re.compile(
    rb"(?:\s+|:[^\n]{0,%d}\n)*" % (MAX_COMMENT - 2)
)  # blanks and comments before the answer itself

_ENCODINGS = re.compile(r"(?:x-gzip|gzip|deflate|br|zstd|compress)(?:, ?(?:gzip|deflate|br|zstd)){0,2}")


async def read_body(
    response: httpx.Response,
    most: int,
    *,
    idle_s: float,
    begun: Callable[[], None] | None = None,
    room: BodyRoom | None = None,
    paused: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> bytearray:
    """Read a body of up to `most` bytes; what only keeps the connection alive is left out.

    `begun` is called when the answer itself begins. Where there is no `room` the rest stays with its sender;
    its silence does not count then, and the wait is spent in `paused`. Raises Unusable (`answer_too_large`, and
    `answer_encoded` for an encoding that we did not ask for, which is not decoded), TimedOut (`idle_s` of silence, or
    less than 1 KiB/s for so long), and what httpx raises.
    """
    encoding = response.headers.get("content-encoding", "identity").lower()
    if encoding not in ("identity", ""):
        known = _ENCODINGS.fullmatch(encoding) is not None
        raise Unusable(ANSWER_ENCODED, http_status=response.status_code, encoding=encoding if known else None)
    body = bytearray()
    try:
        await _Collector(body, response, most, idle_s, begun).collect(room, paused)
    except BaseException:
        body.clear()  # the error's traceback would keep it for longer
        raise
    return body


class _Collector:
    """Puts the pieces of one body together."""

    def __init__(
        self, body: bytearray, response: httpx.Response, most: int, idle_s: float, begun: Callable[[], None] | None
    ) -> None:
        self._body = body
        self._response = response
        self._most = most
        self._idle_s = idle_s
        self._begun = begun
        self._received = 0
        self._pace: _Pace | None = None

    async def collect(self, room: BodyRoom | None, paused: Callable[[], AbstractContextManager[None]]) -> None:
        """Read all pieces, each once there is room for it."""
        length = _length(self._response, self._most)
        chunks = aiter(self._response.aiter_raw())
        while True:
            if room and not room.take(len(self._body), length):
                with paused(), _standing(self._pace):
                    await room.wait(length)
            try:
                async with asyncio.timeout(self._idle_s):
                    chunk = await anext(chunks)
            except StopAsyncIteration:
                break
            self._add(chunk)
        if room:
            room.keep(len(self._body))

    def _add(self, chunk: bytes) -> None:
        self._received += len(chunk)
        if self._received > self._most:
            raise Unusable(ANSWER_TOO_LARGE, http_status=self._response.status_code)
        self._body += chunk
        if self._pace is not None:
            self._pace.check(len(chunk))
        elif _has_begun(self._body):
            self._pace = _Pace(self._idle_s)
            if self._begun:
                self._begun()


def _length(response: httpx.Response, most: int) -> int | None:
    """Read how long a body will be, as far as it is of interest; None if that is not known."""
    told = response.headers.get("content-length", "")
    if "transfer-encoding" in response.headers or not re.fullmatch(r"\d{1,20}", told, re.ASCII):
        return None
    return min(int(told), most)


def _has_begun(body: bytearray) -> bool:
    """Take keep-alive away from the front; tell whether anything else, or an endless comment, is there."""
    if match := _KEEP_ALIVE.match(body):
        del body[: match.end()]
    return bool(body) and not (body.startswith(b":") and len(body) < MAX_COMMENT)


@contextmanager
def _standing(pace: _Pace | None) -> Iterator[None]:
    """Leave a time out of a pace."""
    since = asyncio.get_running_loop().time()
    yield
    if pace:
        pace.forgive(asyncio.get_running_loop().time() - since)


class _Pace:
    """Watches how fast a body comes, window by window."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()
        self._bytes = 0

    def check(self, more: int) -> None:
        """Count bytes. Raises TimedOut when a whole window brought too few."""
        self._bytes += more
        elapsed = self._loop.time() - self._since
        if elapsed < self._window_s:
            return
        if self._bytes < LEAST_PER_S * elapsed:
            raise TimedOut(PROVIDER_TIMEOUT, http_status=200)
        self._since, self._bytes = self._loop.time(), 0

    def forgive(self, seconds: float) -> None:
        """Leave a time out in which nothing was read."""
        self._since += seconds
