"""A provider of heavy answers, in a process of its own: all calls are answered together, each with a new picture.

`python heavy.py WIDTH HEIGHT NOISE TOGETHER FRAMING`: a picture of so many pixels, of whose rows NOISE in 256 are
noise; nothing is answered before TOGETHER calls have come, or none has come for some seconds.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import struct
import sys
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pybase64

QUIET_S = 5.0
PIECE = 2**16


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of answers."""

    width: int
    height: int
    noise: int = 256  # of 256 rows
    together: int
    is_chunked: bool = False

    def arguments(self) -> list[str]:
        """Spell it for a command."""
        framing = "chunked" if self.is_chunked else "length"
        return [*map(str, (self.width, self.height, self.noise, self.together)), framing]


class Painter:
    """Makes PNGs that differ in their first row only, so that each costs little."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        row = 3 * kind.width
        rows = (
            b"\0" + (os.urandom(row) if number % 256 < kind.noise else bytes(row)) for number in range(1, kind.height)
        )
        self._rest = b"".join(rows)
        packer = zlib.compressobj(1, wbits=-15)
        self._packed = packer.compress(self._rest) + packer.flush()
        self._numbers = itertools.count(1)

    def paint(self) -> bytes:
        """Make the next one."""
        first = (b"\0" + struct.pack(">Q", next(self._numbers))).ljust(3 * self._kind.width + 1, b"\x7f")
        packer = zlib.compressobj(1, wbits=-15)
        head = packer.compress(first) + packer.flush(zlib.Z_FULL_FLUSH)
        check = struct.pack(">I", zlib.adler32(self._rest, zlib.adler32(first)))
        size = struct.pack(">IIBBBBB", self._kind.width, self._kind.height, 8, 2, 0, 0, 0)
        pixels = b"\x78\x01" + head + self._packed + check
        return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", size) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


class Heavy:
    """Answers as OpenRouter does."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._painter = Painter(kind)
        self._calls = 0
        self._last = 0.0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one call, or tell how many there were."""
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET"):
            text = str(self._calls).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + text)
            writer.close()
            return
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))
        self._calls += 1
        self._last = asyncio.get_running_loop().time()
        while self._calls < self._kind.together and asyncio.get_running_loop().time() < self._last + QUIET_S:
            await asyncio.sleep(0.05)
        try:
            await self._answer(writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        is_chunked = self._kind.is_chunked
        url = b"data:image/png;base64," + pybase64.b64encode(self._painter.paint())
        body = b'{"choices": [{"message": {"images": [{"image_url": {"url": "%s"}}]}}], "usage": {"cost": 0.04}}' % url
        framing = b"Transfer-Encoding: chunked" if is_chunked else b"Content-Length: %d" % len(body)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%s\r\n\r\n" % framing)
        for start in range(0, len(body), PIECE):
            piece = body[start : start + PIECE]
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece) if is_chunked else piece)
            await writer.drain()
        if is_chunked:
            writer.write(b"0\r\n\r\n")
        await writer.drain()


@asynccontextmanager
async def heavy_provider(kind: Kind) -> AsyncIterator[int]:
    """Run one beside the test; answer its port."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, *kind.arguments(), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield int(json.loads(await process.stdout.readline()))
    finally:
        process.kill()
        await process.wait()


async def calls_of(port: int) -> int:
    """Ask a running one how often it was called."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    said = await reader.read()
    writer.close()
    return int(said.rpartition(b"\r\n\r\n")[2])


async def main(width: str, height: str, noise: str, together: str, framing: str) -> None:
    """Serve for ever; print the port."""
    kind = Kind(
        width=int(width),
        height=int(height),
        noise=int(noise),
        together=int(together),
        is_chunked=framing == "chunked",
    )
    heavy = Heavy(kind)
    server = await asyncio.start_server(heavy.handle, "127.0.0.1", 0, limit=2**26)
    print(json.dumps(server.sockets[0].getsockname()[1]), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
