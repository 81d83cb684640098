"""Abuses of the process that decodes images."""

from __future__ import annotations

import asyncio
from itertools import count

from simulator.pictures.corpus import ROWS, specimen

from tests.siege.abuses.mallory import Mallory, crowd

WEBP = {"Content-Type": "image/webp"}
LARGE = "large.webp"


async def leave_before_decoding(mallory: Mallory) -> None:
    """Send a hundred images of 38 megapixels in 1.5 KB each, and hang up."""
    body = (mallory.folder / LARGE).read_bytes()
    head = mallory.head("POST", "/v1/uploads", Content_Type="image/webp", Content_Length=len(body))

    async def one(_: int) -> None:
        writer = await mallory.begin(head, body)
        await asyncio.sleep(0.3)
        if writer:
            writer.close()
        await asyncio.sleep(1)

    await crowd(100, one)


async def decode_large(mallory: Mallory) -> None:
    """Send them and wait."""
    body = (mallory.folder / LARGE).read_bytes()

    async def one(_: int) -> None:
        await mallory.ask("POST", "/v1/uploads", body, WEBP)

    await crowd(30, one)


async def decode_bombs(mallory: Mallory) -> None:
    """Send files that say they are images, and are bombs or broken."""
    names = [name for row in ("P67", "P62") for name in ROWS[row]]
    files = [specimen(name) for name in names]

    async def one(number: int) -> None:
        await mallory.ask("POST", "/v1/uploads", files[number % len(files)], {"Content-Type": "image/png"})

    await crowd(20, one)


async def make_thumbnails(mallory: Mallory) -> None:
    """Ask for thumbnails of a large image in all sizes."""
    sizes = count()

    async def one(_: int) -> None:
        size = 64 + next(sizes) % 900
        await mallory.ask("GET", f"{mallory.jobs[1]}?thumbnail={size}")

    await crowd(30, one)
