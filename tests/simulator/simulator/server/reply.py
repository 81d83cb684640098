"""Writes the answer to one request, whole or in pieces, and keeps count of what left.

Writing to a peer that has gone is not an error here: a provider goes on working too, and bills.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from enum import Enum
from http import HTTPStatus

from simulator.server.connection import Connection, JsonObject

Headers = Mapping[str, str | Sequence[str]]

JSON_TYPE = "application/json"


class Ending(Enum):
    """Says when a connection is closed although the client may keep it."""

    AT_ONCE = "at once"
    ON_REUSE = "when the next request begins"


class Reply:
    """Answers one request; `status` stays None until a status line was sent."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.headers: dict[str, str] = {}
        self.status: int | None = None
        self.bytes_sent = 0
        self.gone = asyncio.Event()
        self.ending: Ending | None = None

    @asynccontextmanager
    async def watched(self, on_hang_up: Callable[[], None]) -> AsyncIterator[None]:
        """Watch the peer while the block runs and call back at once if it hangs up."""
        watcher = asyncio.create_task(self._watch(on_hang_up))
        try:
            yield
        finally:
            watcher.cancel()
            await asyncio.wait([watcher])

    async def _watch(self, on_hang_up: Callable[[], None]) -> None:
        if await self._connection.peer_hung_up():
            on_hang_up()
            self.gone.set()

    async def send(self, data: bytes) -> bool:
        """Send raw bytes, and say whether the peer was still there to take them."""
        if self.gone.is_set():
            return False
        if not await self._connection.write(data):
            self.gone.set()
            return False
        self.bytes_sent += len(data)
        return True

    async def raw(self, status: int, data: bytes) -> bool:
        """Send bytes that are or begin an answer, however broken, and note the status they stand for."""
        self.status = status
        return await self.send(data)

    async def start(self, status: int, headers: Headers) -> None:
        """Send the status line and the headers as given, plus the provider's own."""
        self.status = status
        lines = [f"HTTP/1.1 {status} {phrase(status)}"]
        for name, value in {**self.headers, **headers}.items():
            values = [value] if isinstance(value, str) else value
            lines += [f"{name}: {each}" for each in values]
        await self.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))

    async def whole(self, status: int, body: bytes, headers: Headers) -> None:
        """Send a complete and well framed answer."""
        await self.start(status, {"Content-Length": str(len(body)), **headers})
        await self.send(body)

    async def json(self, status: int, value: JsonObject, headers: Headers | None = None) -> None:
        """Send a complete JSON answer."""
        await self.whole(status, json.dumps(value).encode(), {"Content-Type": JSON_TYPE, **(headers or {})})

    def end_after(self, *, on_reuse: bool) -> None:
        """Close the connection after this answer: at once, or when its next request begins."""
        self.ending = Ending.ON_REUSE if on_reuse else Ending.AT_ONCE

    def stop_reading(self) -> None:
        """Read no more of what the peer sends."""
        self._connection.stop_reading()

    def shrink_buffer(self) -> None:
        """Let the peer send only little ahead of what is read."""
        self._connection.shrink_buffer()

    async def discard(self, count: int) -> bool:
        """Read and forget some of what the peer sends; return False at its end."""
        return await self._connection.discard(count)

    def reset(self) -> None:
        """Drop the connection with a TCP RST."""
        self._connection.reset()

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()


def phrase(status: int) -> str:
    """Return the reason phrase, also for numbers nobody registered."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
