"""A TCP proxy with toxiproxy's toxics, to stand between a program and its Redis or provider.

What one end sends waits, in chunks and in a bounded queue, for the weather to let it pass to the other end;
so do the ends of streams and broken connections. A black hole is a partition of the network: what is sent
into it arrives when it heals, even if the sender has hung up meanwhile, as kernels go on to send.
"""

from __future__ import annotations

import asyncio
import math
import socket
import struct
from asyncio import StreamReader, StreamWriter
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from time import monotonic
from typing import Self

CHUNK_BYTES = 16_384
CHUNKS = 64  # under way in one direction of a connection: 1 MiB at most
LINGER = (socket.SOL_SOCKET, socket.SO_LINGER)
RUDE, POLITE = struct.pack("ii", 1, 0), struct.pack("ii", 0, 0)  # close with a RST, or with a FIN


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes on their way; none at the end of a stream, None if it broke."""

    data: bytes | None
    arrived_at: float
    luck: float  # -1 to 1, what part of the jitter is added


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """What befalls chunks, in each direction of each connection."""

    latency_s: float = 0
    jitter_s: float = 0
    bytes_per_s: float = math.inf
    slice_bytes: int = CHUNK_BYTES
    slice_delay_s: float = 0
    limit_bytes: float = math.inf
    is_black_hole: bool = False
    withheld: bytes = b""  # what is in chunks that do not pass

    def hold_s(self, chunk: Chunk, now: float) -> float:
        """Say for how long a chunk may not pass yet."""
        if self.is_black_hole or (self.withheld and self.withheld in (chunk.data or b"")):
            return math.inf
        return chunk.arrived_at + self.latency_s + self.jitter_s * chunk.luck - now

    def piece_bytes(self, passed_bytes: int) -> int:
        """Say how much may pass in one go; a narrow line lets twenty pieces pass in a second."""
        size = max(1, min(self.slice_bytes, self.bytes_per_s / 20))
        return int(min(size, max(0, self.limit_bytes - passed_bytes)))

    def rest_s(self, size: int) -> float:
        """Say how long nothing passes after a piece."""
        return size / self.bytes_per_s + self.slice_delay_s


class Proxy:
    """Listens on a loopback port and leads connections to a Unix socket (a Path) or to `host:port`.

    Toxics add up until `heal`, and hold for old and new connections. The same dice give the same jitter
    to the same chunks of connections that come in the same order.
    """

    def __init__(self, *, to: Path | str, dice: Random | None = None) -> None:
        self._to = to
        self._dice = dice or Random(0)
        self._links: dict[asyncio.Task[None], Link] = {}
        self._change = asyncio.Event()
        self.weather = Weather()
        self.port = 0
        self.connections = self.bytes_up = self.bytes_down = 0

    def latency(self, seconds: float, jitter: float = 0) -> None:
        """Let everything take longer, each way, give or take the jitter."""
        self._turn(replace(self.weather, latency_s=seconds, jitter_s=jitter))

    def bandwidth(self, bytes_per_s: float) -> None:
        """Narrow each direction of each connection."""
        self._turn(replace(self.weather, bytes_per_s=bytes_per_s))

    def black_hole(self) -> None:
        """Accept connections and keep them open, and let nothing pass."""
        self._turn(replace(self.weather, is_black_hole=True))

    def withhold(self, words: bytes) -> None:
        """Let no chunk pass that has some words, nor what comes after it on its connection."""
        self._turn(replace(self.weather, withheld=words))

    def slice(self, size: int, delay: float) -> None:
        """Cut everything into pieces with a pause after each."""
        self._turn(replace(self.weather, slice_bytes=size, slice_delay_s=delay))

    def limit(self, size: int) -> None:
        """Reset every connection once so many more bytes, both ways together, have passed."""
        for link in self._links.values():
            link.passed_bytes = 0
        self._turn(replace(self.weather, limit_bytes=size))

    def reset(self) -> None:
        """Break all connections with a RST."""
        for task in self._links:
            task.cancel()

    def refuse(self) -> None:
        """Break all connections and refuse new ones."""
        self._close()
        self._bind()  # whoever connects to a port that is bound and not listened on is refused
        self.reset()

    def lead(self, to: Path | str) -> None:
        """Lead new connections somewhere else, and break the old ones."""
        self._to = to
        self.reset()

    def heal(self) -> None:
        """Clear the weather, and listen if that had stopped."""
        self._turn(Weather())
        self._listen()

    async def hold(self, chunk: Chunk) -> None:
        """Wait until a chunk may pass."""
        while (seconds := self.weather.hold_s(chunk, monotonic())) > 0:
            await self.pause(seconds)

    async def pause(self, seconds: float) -> None:
        """Wait for so long, or until the weather changes."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._change.wait()

    async def dial(self) -> tuple[StreamReader, StreamWriter]:
        """Connect to where the proxy leads, once there is a way."""
        while self.weather.is_black_hole:
            await self._change.wait()
        if isinstance(self._to, Path):
            return await asyncio.open_unix_connection(self._to)
        return await asyncio.open_connection(*self._to.split(":"))

    async def __aenter__(self) -> Self:
        self._bind()
        self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._close()
        self.reset()
        ends = await asyncio.gather(*self._links, return_exceptions=True)
        if bugs := [end for end in ends if isinstance(end, Exception)]:
            raise ExceptionGroup("the proxy itself failed", bugs)

    def _turn(self, weather: Weather) -> None:
        self.weather = weather
        self._change.set()
        self._change = asyncio.Event()

    def _bind(self) -> None:
        self._listener = socket.socket()
        self._listener.setblocking(False)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self.port))
        self.port = int(self._listener.getsockname()[1])

    def _listen(self) -> None:
        self._listener.listen(1024)
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def _close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):  # it has gone
            return
        client.setsockopt(*LINGER, RUDE)
        self.connections += 1
        link = Link(self, client, Random(self._dice.random()))
        self._links[task := asyncio.create_task(link.run())] = link
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._links[task].client.close()  # a task may end before it comes to its sockets
        if task.cancelled() or not task.exception():
            del self._links[task]


class Link:
    """One connection through the proxy: two streams, each with a task that collects and one that delivers."""

    def __init__(self, proxy: Proxy, client: socket.socket, dice: Random) -> None:
        self._proxy = proxy
        self._dice = dice
        self.client = client
        self.passed_bytes = 0

    async def run(self) -> None:
        """Carry both streams to their ends; whatever else ends them breaks the connection."""
        writers: list[StreamWriter] = []
        try:
            upper, up = await self._proxy.dial()
            writers.append(up)
            up.get_extra_info("socket").setsockopt(*LINGER, RUDE)
            lower, down = await asyncio.open_connection(sock=self.client)
            writers.append(down)
            async with asyncio.TaskGroup() as group:
                for reader, writer in ((lower, up), (upper, down)):
                    chunks: asyncio.Queue[Chunk] = asyncio.Queue(CHUNKS)
                    group.create_task(self._collect(reader, chunks, Random(self._dice.random())))
                    group.create_task(self._deliver(chunks, writer, is_up=writer is up))
            for writer in writers:
                writer.get_extra_info("socket").setsockopt(*LINGER, POLITE)
                writer.close()
        except* OSError:
            pass
        finally:
            for writer in writers:
                writer.transport.abort()
            for writer in writers:
                with suppress(OSError):
                    await writer.wait_closed()

    async def _collect(self, reader: StreamReader, chunks: asyncio.Queue[Chunk], dice: Random) -> None:
        data: bytes | None = b"?"
        while data:
            try:
                data = await reader.read(CHUNK_BYTES)
            except OSError:
                data = None
            await chunks.put(Chunk(data, monotonic(), dice.uniform(-1, 1)))

    async def _deliver(self, chunks: asyncio.Queue[Chunk], writer: StreamWriter, *, is_up: bool) -> None:
        writer.transport.set_write_buffer_limits(0)  # drained means gone
        while (chunk := await chunks.get()).data:
            rest = memoryview(chunk.data)
            while rest:
                await self._proxy.hold(chunk)  # the weather may have turned between two pieces
                size = min(len(rest), self._proxy.weather.piece_bytes(self.passed_bytes))
                self.passed_bytes += size
                self._proxy.bytes_up += size if is_up else 0
                self._proxy.bytes_down += 0 if is_up else size
                writer.write(rest[:size])
                await writer.drain()
                rest = rest[size:]
                if self.passed_bytes >= self._proxy.weather.limit_bytes:
                    raise ConnectionResetError
                if seconds := self._proxy.weather.rest_s(size):
                    await self._proxy.pause(seconds)
        await self._proxy.hold(chunk)
        if chunk.data is None:
            raise ConnectionResetError
        writer.write_eof()
