"""A load balancer as plain as they come: each new connection goes to the next server, which may break it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import count

from tests.support.network.loopback import LoopbackServer


class RoundRobin(LoopbackServer):
    """Carries TCP connections to servers on loopback in turn."""

    def __init__(self, *urls: str) -> None:
        super().__init__()
        self._ports = [int(url.rpartition(":")[2]) for url in urls]
        self._turns = count()
        self._links: set[asyncio.StreamWriter] = set()
        self.taken = [0] * len(urls)  # connections that each server got

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def break_all(self) -> None:
        """Break all connections that are open, at both ends."""
        for writer in [*self._links, *self._writers]:
            writer.transport.abort()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection to the server whose turn it is."""
        turn = next(self._turns) % len(self._ports)
        self.taken[turn] += 1
        inward, onward = await asyncio.open_connection("127.0.0.1", self._ports[turn])
        self._links.add(onward)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_carry(reader, onward))
                both.create_task(_carry(inward, writer))
        finally:
            onward.transport.abort()
            self._links.discard(onward)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry what is said in one direction to its end, which ends the connection."""
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
