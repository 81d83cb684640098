"""A receiver of webhooks on loopback: keeps what it hears, and answers as a test says, or never."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.support.network.image_host import reply
from tests.support.network.loopback import LoopbackServer

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


class Receiver(LoopbackServer):
    """Answers by a function; every address of loopback leads to it."""

    def __init__(self, answer: Answering = lambda _: GOOD) -> None:
        super().__init__(host="0.0.0.0")
        self.answer = answer
        self.heard: list[Heard] = []
        self._news = asyncio.Event()

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

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Keep a delivery and answer it."""
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
