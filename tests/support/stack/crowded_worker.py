"""A worker in a memory cgroup while many heavy answers come together: what became of the calls, and what it took."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.server.server import Simulator

from contract.jobs.job import Job, Outcome
from tests.support.network.heavy_provider import Kind, Painter, calls_of, heavy_provider
from tests.support.process.memory_cgroup import Cgroup, memory_cgroup
from tests.support.stack.redis_server import running_redis
from tests.support.stack.stack import NotStarted, Stack

LOOK_S = 0.02
MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """What one run brought."""

    jobs: tuple[Job, ...]
    calls: int
    kills: int
    starts: int  # of workers
    peak: int  # bytes that its processes held at most
    seconds: float
    log: str

    @property
    def images(self) -> int:
        """Count the pictures that were made."""
        return sum(len(job.images) for job in self.jobs)

    @property
    def lost(self) -> int:
        """Count the calls that brought nothing, though they were answered."""
        attempts = [attempt for job in self.jobs for attempt in job.attempts]
        return sum(attempt.outcome is not Outcome.DELIVERED for attempt in attempts)

    def told(self) -> str:
        """Sum it up in one line."""
        ended = [str(job.state) for job in self.jobs]
        states = ", ".join(f"{ended.count(state)} {state}" for state in sorted(set(ended)))
        return (
            f"{states}; {self.images} images, {self.calls} calls, {self.lost} lost; {self.kills} OOM kills, "
            f"{self.starts} workers; at most {self.peak / MIB:.0f} MiB; {self.seconds:.0f} s"
        )


@asynccontextmanager
async def crowded_stack(folder: Path, kind: Kind) -> AsyncIterator[tuple[Stack, int]]:
    """A Darkroom whose provider's answers are heavy; no worker runs yet."""
    with running_redis() as redis:
        async with Simulator(seconds=0) as simulator, heavy_provider(kind) as port:
            stack = Stack(folder, redis, simulator)
            stack.write_config(providers={"openrouter": {"apiBase": f"http://127.0.0.1:{port}/api/v1"}})
            try:
                yield stack, port
            finally:
                stack.stop()


async def crowd(
    folder: Path, kind: Kind, *, jobs: int, count: int, most: int, reference: Kind | None = None, **environment: str
) -> Crowd:
    """Run jobs in one worker, started again as its supervisor would, within so many bytes of memory."""
    with memory_cgroup(most) as group:
        async with crowded_stack(folder, kind) as (stack, port), stack.client() as darkroom:
            given: dict[str, Any] = {"count": count, "image_size": "4K"}
            if reference:
                path = stack.settings().workspace / "reference.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(Painter(reference).paint())
                given["reference_images"] = [str(path)]
            ids = [(await darkroom.submit(prompt=f"fox {n}", **given)).id for n in range(jobs)]
            started = time.monotonic()
            peak = [0]
            keeping = asyncio.create_task(_keep(stack, group, peak, environment))
            try:
                ended = await asyncio.gather(*(darkroom.wait(job, timeout_s=900) for job in ids))
                seconds = time.monotonic() - started
                calls = await calls_of(port)
            finally:
                keeping.cancel()
                await asyncio.gather(keeping, return_exceptions=True)
                stack.stop()
            return Crowd(
                jobs=tuple(ended),
                calls=calls,
                kills=group.kills(),
                starts=len(stack.workers),
                peak=peak[0],
                seconds=seconds,
                log=stack.logs(),
            )


async def _keep(stack: Stack, group: Cgroup, peak: list[int], environment: dict[str, str]) -> None:
    """Keep a worker running, and look at what it holds."""
    while True:
        with suppress(NotStarted):  # the kernel may kill it at once
            stack.environment |= environment
            worker = await stack.start_worker(within=group.enter)
            while worker.poll() is None:
                peak[0] = max(peak[0], group.held())
                await asyncio.sleep(LOOK_S)
