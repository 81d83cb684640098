"""Images for an answer of an MCP tool: the originals as far as they fit, smaller copies of the others.

MOST_BYTES is what one answer may have: 5 MiB as base64. Models that look at images take no more of one; to write more
than that at once would keep everybody else waiting (50 ms); and over stdio clients take in some 3 MB a second, of the
30 s after which they give up. Clients such as nanobot keep what they get, so a copy has the size of its original, in
pixels, where it can.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import pybase64

from contract.errors.exceptions import DarkroomError, Refused
from contract.jobs.job import Image
from producer.client.owner_client import OwnerClient
from producer.imaging.sandbox import ImageSandbox
from producer.imaging.thumbnails import SIDES, Thumbnails
from producer.imaging.turns import Asker
from producer.mcp.answer import ShownImage

MOST_BYTES = 5 * 2**20 * 3 // 4
COPY, QUALITY = "image/webp", 90  # one can see through it, if need be


class ImageContents:
    """Makes what of an owner's images is shown."""

    def __init__(self, pictures: ImageSandbox, thumbnails: Thumbnails, *, most_bytes: int = MOST_BYTES) -> None:
        self._pictures = pictures
        self._thumbnails = thumbnails
        self._most_bytes = most_bytes

    async def of(self, client: OwnerClient, images: Sequence[Image]) -> list[ShownImage | None]:
        """Fetch images, each with its share of what is left; None for one that cannot be had now."""
        left = self._most_bytes
        prints: list[ShownImage | None] = []
        for number, image in enumerate(images):
            try:
                data, mime = await self._fit(client, image, most=left // (len(images) - number))
            except (DarkroomError, OSError):  # it was removed, or Redis is away: the job is told all the same
                prints.append(None)
                continue
            left -= len(data)
            encoded = await asyncio.to_thread(_encode, data)
            prints.append(ShownImage(encoded, mime, len(data) == image.bytes))
        return prints

    async def _fit(self, client: OwnerClient, image: Image, *, most: int) -> tuple[bytes, str]:
        """Read an image, or make the best copy of it that fits."""
        locator = await client.owner_images.find(image.id)
        stored = await client.artifacts.stat(locator)
        if stored is None:
            raise FileNotFoundError(locator)
        read = partial(client.artifacts.read, locator)
        if stored.bytes <= most:
            return await read(), image.mime
        with suppress(Refused):  # of a side that WebP does not have
            copy = await self._pictures.convert(read, mime=COPY, quality=QUALITY, asker=Asker(client.owner))
            if len(copy) <= most:
                return copy, COPY
        return await self._small(client, locator, most=most)

    async def _small(self, client: OwnerClient, locator: str, *, most: int) -> tuple[bytes, str]:
        """Find the largest thumbnail that fits, or the smallest there is."""
        sidecar = await client.artifacts.sidecar(locator)
        data, mime = b"", ""
        for side in reversed(SIDES):
            data, mime = await self._thumbnails.find(sidecar, locator, side=side, asker=Asker(client.owner))
            if len(data) <= most:
                break
        return data, mime


def _encode(data: bytes) -> str:
    return pybase64.b64encode(data).decode("ascii")
