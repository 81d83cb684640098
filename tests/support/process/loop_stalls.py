"""How long an event loop stands still while something else goes on."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def watching_the_loop() -> Iterator[list[float]]:
    """Measure how long the event loop stands still, at most."""
    stalls: list[float] = [0.0]

    async def watch() -> None:
        while True:
            asked = time.monotonic()
            await asyncio.sleep(0.002)
            stalls.append(time.monotonic() - asked - 0.002)

    task = asyncio.create_task(watch())
    yield stalls
    task.cancel()
