"""Workers that are asked to stop while jobs run: what is paid for is kept."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from house import House, Process

from contract.job import JobState, Outcome

pytestmark = pytest.mark.real_redis


def readers_of(worker: Process) -> list[int]:
    """List the processes that read answers for a worker; any of its threads may have started them."""
    lists = Path(f"/proc/{worker.pid}/task").glob("*/children")
    pids = [int(pid) for children in lists for pid in children.read_text().split()]
    return [pid for pid in pids if b"worker.reader" in Path(f"/proc/{pid}/cmdline").read_bytes()]


async def logged(house: House, words: str) -> None:
    """Wait until a worker has logged something."""
    async with asyncio.timeout(15):
        while words not in house.logs():
            await asyncio.sleep(0.02)


async def called(house: House, number: int) -> None:
    """Wait until the provider has been called so many times."""
    async with asyncio.timeout(20):
        while len(house.simulator.ledger) < number:
            await asyncio.sleep(0.02)


async def test_a_young_worker_that_stops_reads_every_answer_it_has_paid_for(house: House) -> None:
    worker = await house.start_worker(DARKROOM_DRAIN_SECONDS="60")
    house.simulator.script([{"kind": "slow", "seconds": 3}] * 6)
    async with house.client() as darkroom:
        jobs = [await darkroom.submit(prompt=f"x{number}") for number in range(6)]
        await called(house, 6)
        worker.send_signal(signal.SIGTERM)
        await logged(house, "stopping:")
        [reader] = readers_of(worker)
        os.kill(reader, signal.SIGKILL)  # so that even the first answer needs one that starts now
        done = [await darkroom.wait(job.id, timeout_s=40) for job in jobs]
    assert [job.state for job in done] == [JobState.SUCCEEDED] * 6
    assert [attempt.outcome for job in done for attempt in job.attempts] == [Outcome.DELIVERED] * 6
    assert await asyncio.to_thread(worker.wait, 20) == 0
    assert "a reader died" not in house.logs()
