"""Cancelling all unfinished jobs of an owner while they move."""

from __future__ import annotations

import asyncio

import pytest

from contract.errors.exceptions import Unavailable
from contract.jobs.job import TERMINAL, Job, JobState
from producer.client.client import Darkroom
from producer.client.unfinished import PAGE, Tally, cancel_each, find_unfinished
from tests.support.stack.stack import Stack

pytestmark = pytest.mark.real_redis


async def submit(darkroom: Darkroom, prompt: str, number: int) -> set[str]:
    """Hand some jobs in, at once; answer their ids."""
    return {job.id for job in await asyncio.gather(*(darkroom.submit(prompt=prompt) for _ in range(number)))}


async def test_more_than_a_page_is_found_and_only_of_this_owner(stack: Stack) -> None:
    async with stack.client("ann") as ann, stack.client("bob") as bob:
        his = await submit(bob, "x", 3)
        hers = await submit(ann, "x", PAGE + 20)
        over = set(sorted(hers)[:5])
        for job_id in over:
            await ann.cancel(job_id)
        found = await find_unfinished(ann)
        assert {job.id for job in found} == hers - over
        gone, ended, *_ = found
        await ann.delete(gone.id)
        await ann.cancel(ended.id)
        tally = Tally()
        await cancel_each(ann, found, tally)
        assert set(tally.already_over) == {gone.id, ended.id}
        assert set(tally.cancelled) == hers - over - {gone.id, ended.id}
        assert await find_unfinished(ann) == []
        assert {job.id for job in await find_unfinished(bob)} == his


async def test_waiting_jobs_are_cancelled_before_those_that_run(stack: Stack) -> None:
    await stack.start_worker(DARKROOM_CONCURRENCY="2")
    async with stack.client() as darkroom, asyncio.timeout(30):
        running = await submit(darkroom, "[slow 30] x", 2)
        while {job.state for job in await darkroom.list()} != {JobState.RUNNING}:
            await asyncio.sleep(0.05)
        await submit(darkroom, "[slow 30] x", 6)
        found = await find_unfinished(darkroom)
        assert {job.id for job in found[-2:]} == running
        await cancel_each(darkroom, found, Tally())
        ended = [await darkroom.wait(job.id) for job in found]
        assert {job.state for job in ended} == {JobState.CANCELLED}
        assert {job.id for job in ended if job.attempts} <= running


async def test_jobs_that_end_meanwhile_are_told_as_that(stack: Stack) -> None:
    await stack.start_worker(DARKROOM_CONCURRENCY="8")
    async with stack.client() as darkroom, asyncio.timeout(40):
        ids = await submit(darkroom, "[slow 0.05] x", 60)
        found = await find_unfinished(darkroom)
        while not any(job.state is JobState.SUCCEEDED for job in await darkroom.list(limit=100)):
            await asyncio.sleep(0.02)
        tally = Tally()
        await cancel_each(darkroom, found, tally)
        states = {job_id: (await darkroom.get(job_id)).state for job_id in ids}
        assert set(states.values()) <= TERMINAL
        assert set(tally.cancelled) == {one for one, state in states.items() if state is JobState.CANCELLED}
        assert set(tally.already_over) <= {one for one, state in states.items() if state is JobState.SUCCEEDED}


async def test_where_it_breaks_off_what_was_done_is_known(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    async with stack.client() as darkroom:
        await submit(darkroom, "x", 5)
        found = await find_unfinished(darkroom)
        cancel = darkroom.cancel

        async def cancel_until_the_third(job_id: str) -> tuple[Job, bool]:
            if job_id == found[2].id:
                raise Unavailable
            return await cancel(job_id)

        monkeypatch.setattr(darkroom, "cancel", cancel_until_the_third)
        tally = Tally()
        with pytest.raises(Unavailable):
            await cancel_each(darkroom, found, tally)
        assert tally == Tally(cancelled=[job.id for job in found[:2]])
        assert {job.id for job in await find_unfinished(darkroom)} == {job.id for job in found[2:]}
