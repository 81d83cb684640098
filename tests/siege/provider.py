"""`python -m tests.siege.provider`: a provider that costs next to nothing, so that the processors are left to others.

It answers as OpenRouter does. A prompt with the word `hang` gets no answer for a minute, one with `heavy` gets an
image of 17 MB, and all others get a small one.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

import pybase64

from tests.support.network.heavy_provider import PIECE, Kind, Painter

IMAGE_S = 0.3
HANG_S = 60.0
SMALL = Kind(width=512, height=512, noise=64, together=1)
HEAVY = Kind(width=2400, height=2400, together=1)


class Provider:
    """One process's answers."""

    def __init__(self) -> None:
        self._small, self._heavy = Painter(SMALL), Painter(HEAVY)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one call."""
        with suppress(OSError, EOFError):
            await self._talk(reader, writer)
        writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        asked = await reader.readexactly(length)
        await asyncio.sleep(HANG_S if b"hang" in asked else IMAGE_S)
        image = (self._heavy if b"heavy" in asked else self._small).paint()
        url = b"data:image/png;base64," + pybase64.b64encode(image)
        body = b'{"choices": [{"message": {"images": [{"image_url": {"url": "%s"}}]}}], "usage": {"cost": 0.04}}' % url
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n")
        writer.write(b"Content-Length: %d\r\n\r\n" % len(body))
        for start in range(0, len(body), PIECE):
            writer.write(body[start : start + PIECE])
            await writer.drain()


async def main() -> None:
    """Serve for ever; print the port."""
    server = await asyncio.start_server(Provider().talk, "127.0.0.1", 0, limit=2**26, backlog=1000)
    print(json.dumps(server.sockets[0].getsockname()[1]), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
