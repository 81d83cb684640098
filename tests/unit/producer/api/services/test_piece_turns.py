"""Owners take turns at reading pieces of images, one at a time."""

from __future__ import annotations

import asyncio

from producer.api.services.piece_turns import PieceTurns


async def test_one_piece_is_read_at_a_time_and_owners_take_turns() -> None:
    turns = PieceTurns()
    read: list[str] = []
    reading = 0

    async def answer(owner: str, pieces: int) -> None:
        nonlocal reading
        for _ in range(pieces):
            async with turns.take(owner):
                reading += 1
                assert reading == 1
                await asyncio.sleep(0)
                read.append(owner)
                reading -= 1

    await asyncio.gather(*(answer("ann", 5) for _ in range(8)), answer("bob", 5))
    assert "".join(owner[0] for owner in read[:10]).count("b") >= 4
    assert read.count("ann") == 40
    assert not turns._owners
