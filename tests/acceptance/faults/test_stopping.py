"""Workers that are asked to stop while jobs run: what is paid for is kept."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from contract.jobs.job import JobState, Outcome
from tests.support.stack.stack import Process, Stack

pytestmark = pytest.mark.real_redis


def readers_of(worker: Process) -> list[int]:
    """List the processes that read answers for a worker; any of its threads may have started them."""
    lists = Path(f"/proc/{worker.pid}/task").glob("*/children")
    pids = [int(pid) for children in lists for pid in children.read_text().split()]
    return [pid for pid in pids if b"worker.sandbox.child" in Path(f"/proc/{pid}/cmdline").read_bytes()]


async def test_a_young_worker_that_stops_reads_every_answer_it_has_paid_for(stack: Stack) -> None:
    worker = await stack.start_worker(DARKROOM_DRAIN_SECONDS="60")
    stack.simulator.script([{"kind": "slow", "seconds": 3}] * 6)
    async with stack.client() as darkroom:
        jobs = [await darkroom.submit(prompt=f"x{number}") for number in range(6)]
        await stack.called(6)
        worker.send_signal(signal.SIGTERM)
        await stack.says("worker", "stopping:")
        [reader] = readers_of(worker)
        os.kill(reader, signal.SIGKILL)  # so that even the first answer needs one that starts now
        done = [await darkroom.wait(job.id, timeout_s=40) for job in jobs]
    assert [job.state for job in done] == [JobState.SUCCEEDED] * 6
    assert [attempt.outcome for job in done for attempt in job.attempts] == [Outcome.DELIVERED] * 6
    assert await asyncio.to_thread(worker.wait, 20) == 0
    assert "a reader died" not in stack.logs()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
async def test_a_worker_that_is_interrupted_twice_gives_its_jobs_back_at_once(
    stack: Stack, number: signal.Signals
) -> None:
    worker = await stack.start_worker()
    stack.simulator.script([{"kind": "slow", "seconds": 120}])
    async with stack.client() as darkroom:
        job = await darkroom.submit(prompt="x")
        await stack.called(1)
        worker.send_signal(number)
        await stack.says("worker", "stopping: calls under way have 210 s; Ctrl-C again")
        worker.send_signal(number)
        assert await asyncio.to_thread(worker.wait, 15) == 0
        assert (await darkroom.get(job.id)).state is JobState.QUEUED
    assert "Traceback" not in stack.logs()


async def test_a_worker_without_running_jobs_stops_without_waiting(stack: Stack) -> None:
    worker = await stack.start_worker()
    async with stack.client() as darkroom:
        await darkroom.wait((await darkroom.submit(prompt="x")).id, timeout_s=20)
    worker.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait, 20) == 0  # its time would be 210 s


async def test_a_worker_that_stops_begins_no_call_that_it_might_not_see_the_end_of(stack: Stack) -> None:
    worker = await stack.start_worker(DARKROOM_DRAIN_SECONDS="60")
    stack.simulator.script([{"kind": "slow", "seconds": 3}, {"kind": "status", "status": 500, "seconds": 1.5}])
    async with stack.client() as darkroom:
        job = await darkroom.submit(prompt="x", count=2)
        await stack.called(2)
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait, 20) == 0
        job = await darkroom.get(job.id)
        assert (job.state, len(job.images)) == (JobState.QUEUED, 1)
        assert len(stack.simulator.ledger) == 2
        await stack.start_worker()
        job = await darkroom.wait(job.id, timeout_s=20)
    assert (job.state, len(job.images)) == (JobState.SUCCEEDED, 2)
    assert sorted(attempt.outcome for attempt in job.attempts) == ["delivered", "delivered", "transient"]
