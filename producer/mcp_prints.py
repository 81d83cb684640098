"""Images for an answer of an MCP tool: the originals as far as they fit, smaller copies of the others.

MOST_BYTES is what one answer may have. Clients such as nanobot keep what they get, so the original is worth its
bytes; but they give up after 30 s, of which waiting takes up to 20, and over stdio they take in about 3 MB a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pybase64

from contract.artifacts import read_record
from contract.errors import DarkroomError
from contract.job import Image
from producer.api.thumbnails import SIDES, Thumbnails
from producer.client import Darkroom
from producer.mcp_answer import Print

MOST_BYTES = 12 * 2**20  # 16 MiB as base64


class Prints:
    """Makes what of an owner's images is shown."""

    def __init__(self, thumbnails: Thumbnails, *, most_bytes: int = MOST_BYTES) -> None:
        self._thumbnails = thumbnails
        self._most_bytes = most_bytes

    async def of(self, door: Darkroom, images: Sequence[Image]) -> list[Print | None]:
        """Fetch images, each with its share of what is left; None for one that cannot be had now."""
        left = self._most_bytes
        prints: list[Print | None] = []
        for number, image in enumerate(images):
            try:
                data, mime = await self._fit(door, image, most=left // (len(images) - number))
            except (DarkroomError, OSError):  # it was removed, or Redis is away: the job is told all the same
                prints.append(None)
                continue
            left -= len(data)
            encoded = await asyncio.to_thread(_encode, data)
            prints.append(Print(encoded, mime, len(data) == image.bytes))
        return prints

    async def _fit(self, door: Darkroom, image: Image, *, most: int) -> tuple[bytes, str]:
        """Read an image, or the largest copy of it that fits."""
        path, mime = await door.gallery.find(image.id), image.mime
        if image.bytes <= most:
            return await asyncio.to_thread(path.read_bytes), mime
        sidecar = await asyncio.to_thread(read_record, path)
        data = b""
        for side in reversed(SIDES):
            small, mime = await self._thumbnails.find(sidecar, path, side=side)
            data = await asyncio.to_thread(Path(small).read_bytes)
            if len(data) <= most:
                break
        return data, mime


def _encode(data: bytes) -> str:
    return pybase64.b64encode(data).decode("ascii")
