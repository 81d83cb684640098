"""What the queue costs, on a real Redis and a real worker: `make bench`.

It prints figures and asserts none: machines differ. The last ones are in docs/decisions/0009 and 0012.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from simulator.server.server import Simulator

from producer.client.client import Darkroom
from tests.support.stack.redis_server import running_redis
from tests.support.stack.stack import Stack

JOBS = 300


async def timed(work: Callable[[], Awaitable[object]], times: int, *, at_once: int) -> list[float]:
    """Do some work many times, a few at once; answer the milliseconds of each, sorted."""
    slots = asyncio.Semaphore(at_once)

    async def one() -> float:
        async with slots:
            started = time.perf_counter()
            await work()
            return 1000 * (time.perf_counter() - started)

    return sorted(await asyncio.gather(*(one() for _ in range(times))))


def tell(what: str, milliseconds: list[float]) -> None:
    """Print the middle and the tail of a distribution."""
    tail = quantiles(milliseconds, n=100)[98]
    print(f"{what:<52} p50 {median(milliseconds):8.1f} ms   p99 {tail:8.1f} ms")


async def measure(stack: Stack) -> None:
    """Measure submitting, looking, and whole jobs."""
    async with stack.client() as darkroom:
        tell("submit, one at a time", await timed(lambda: darkroom.submit(prompt="x"), JOBS, at_once=1))
        job = await darkroom.submit(prompt="x")
        tell("get, 16 at once", await timed(lambda: darkroom.get(job.id), JOBS, at_once=16))
        await stack.start_worker()
        started = time.perf_counter()
        await darkroom.wait(job.id)
        while any(not job.is_over for job in await darkroom.list(limit=500)):
            await asyncio.sleep(0.05)
        rate = (JOBS + 1) / (time.perf_counter() - started)
        print(f"{'jobs through one worker, simulator answering at once':<52} {rate:12.1f} jobs/s")
        tell(
            "submit to succeeded, one at a time, no provider time", await timed(lambda: whole(darkroom), 30, at_once=1)
        )


async def whole(darkroom: Darkroom) -> None:
    """Run one job and wait for it."""
    await darkroom.wait((await darkroom.submit(prompt="x", image_size="512")).id)


async def main() -> None:
    """Build a stack, measure, tear it down."""
    with running_redis(within=None) as redis, TemporaryDirectory() as folder:
        async with Simulator(seconds=0) as simulator:
            stack = Stack(Path(folder), redis, simulator, forks=False)
            try:
                await measure(stack)
            finally:
                stack.stop()


if __name__ == "__main__":
    asyncio.run(main())
