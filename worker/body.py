"""Reading the body of an answer: piece by piece, under caps of size, silence and slowness."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import httpx

from contract.errors import TimedOut, Unusable

LEAST_PER_S = 1024  # bytes; an answer that comes slower is as good as none
MAX_COMMENT = 4096  # bytes; what is longer is no comment

_KEEP_ALIVE = re.compile(
    rb"(?:\s+|:[^\n]{0,%d}\n)*" % (MAX_COMMENT - 2)
)  # blanks and comments before the answer itself


async def read_body(
    response: httpx.Response, most: int, *, idle_s: float, begun: Callable[[], None] | None = None
) -> bytearray:
    """Read a body of up to `most` bytes; what only keeps the connection alive is left out.

    `begun` is called when the answer itself begins. Raises Unusable (`answer_too_large`: also for an
    encoding that we did not ask for, undecoded), TimedOut (`idle_s` of silence, or less than 1 KiB/s
    for so long), and what httpx raises.
    """
    if response.headers.get("content-encoding", "identity").lower() not in ("identity", ""):
        raise Unusable("answer_too_large", http_status=response.status_code)
    body = bytearray()
    try:
        await _collect(body, response, most, idle_s, begun)
    except BaseException:
        body.clear()  # the error's traceback would keep it for longer
        raise
    return body


async def _collect(
    body: bytearray, response: httpx.Response, most: int, idle_s: float, begun: Callable[[], None] | None
) -> None:
    received = 0
    pace: _Pace | None = None
    chunks = aiter(response.aiter_raw())
    while True:
        try:
            async with asyncio.timeout(idle_s):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        received += len(chunk)
        if received > most:
            raise Unusable("answer_too_large", http_status=response.status_code)
        body += chunk
        if pace is not None:
            pace.check(len(chunk))
        elif _has_begun(body):
            pace = _Pace(idle_s)
            if begun:
                begun()


def _has_begun(body: bytearray) -> bool:
    """Take keep-alive away from the front; tell whether anything else, or an endless comment, is there."""
    if match := _KEEP_ALIVE.match(body):
        del body[: match.end()]
    return bool(body) and not (body.startswith(b":") and len(body) < MAX_COMMENT)


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
            raise TimedOut("provider_timeout", http_status=200)
        self._since, self._bytes = self._loop.time(), 0
