"""A receiver of webhooks on loopback: keeps what it hears, and answers as a test says, or never."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tests.support.network.image_host import reply

GOOD = reply(204)


@dataclass(frozen=True, slots=True)
class Heard:
    """One delivery, as it came."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.monotonic)

    @property
    def id(self) -> str:
        """The event's id."""
        return self.headers["webhook-id"]


Answering = Callable[[Heard], bytes | None]  # None: never


class Receiver:
    """Answers by a function; every address of loopback leads to it."""

    def __init__(self, answer: Answering = lambda _: GOOD) -> None:
        self.answer = answer
        self.heard: list[Heard] = []
        self.port = 0
        self._server: asyncio.Server | None = None
        self._news = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()

    def url(self, path: str = "/in", *, host: str = "127.0.0.1") -> str:
        """Where it is to be found."""
        return f"http://{host}:{self.port}{path}"

    async def hears(self, count: int = 1, *, path: str = "", within_s: float = 10) -> list[Heard]:
        """Wait until so many deliveries have come to paths that begin so."""
        async with asyncio.timeout(within_s):
            while len(found := [heard for heard in self.heard if heard.path.startswith(path)]) < count:
                self._news.clear()
                await self._news.wait()
        return found

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "0.0.0.0", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        while self._writers:
            await asyncio.sleep(0.01)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            await self._hear(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            self._writers.discard(writer)

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers["content-length"]))
        heard = Heard(first.split()[1], headers, body)
        self.heard.append(heard)
        self._news.set()
        answer = self.answer(heard)
        if answer is None:
            await reader.read()  # until the other end has had enough
        else:
            writer.write(answer)
            await writer.drain()
