"""Rows P81 to P83: what many jobs make of a provider that flaps, is dead for a while, or takes few calls at a time."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest

from contract.jobs.job import Job, JobState
from tests.catalogues.provider_faults.rooms import PROMPT, Room, open_room

pytestmark = [pytest.mark.real_redis]

BREAKER_S = 0.5
# Every job makes up to nine calls. A wave meets fewer failures than that, whatever the order of calls: alternating
# ones are at most 7, and of seed 1 the waves meet 4, 4 and 6. So no job can be lost by bad luck.
WAVES = (7, 7, 6)
DEAD_S = 3.0
SLOTS = 4
LOOK_S = 0.02
TO_OPEN = 5  # bad calls in a row that open the breaker


async def run_jobs(room: Room, number: int, *, timeout_s: float) -> list[Job]:
    """Hand in jobs at the same time and wait for all of them."""
    jobs = await asyncio.gather(*(room.darkroom.submit(prompt=f"{PROMPT} {count}") for count in range(number)))
    return await asyncio.gather(*(room.darkroom.wait(job.id, timeout_s=timeout_s) for job in jobs))


async def waits(room: Room, jobs: list[Job]) -> list[str]:
    """List what jobs have waited for in the queue, in words."""
    events = [event for job in jobs async for event in room.darkroom.events(job.id)]
    return [event.text for event in events if event.type == "waiting"]


async def watch_breaker(room: Room, openings: list[float]) -> None:
    """Note until when the breaker is open, each time that it opens."""
    while True:
        for key in await room.redis.keys("darkroom:gate:*"):
            if await room.redis.type(key) == "hash" and (until := await room.redis.hget(key, "open_until")):
                openings += [float(until) / 1000] if float(until) / 1000 not in openings else []
        await asyncio.sleep(LOOK_S)


def ends_of(jobs: list[Job]) -> dict[str, int]:
    """Count how jobs have ended."""
    ends = [job.error.code if job.error else str(job.state) for job in jobs]
    return {end: ends.count(end) for end in ends}


@pytest.mark.parametrize("mood", ["flap", "errors", "slow", "brown_out"])
async def test_p81_all_jobs_succeed_in_a_bad_mood_and_the_breaker_does_not_flap(mood: str) -> None:
    step = {"kind": "P81", "variant": mood, "specimen": "good_png", "seconds": 0.05, "for": 2, "seed": 1}
    async with open_room("calm", BREAKER_SECONDS=BREAKER_S) as room:
        room.simulator.script([{**step, "times": "always"}])
        openings: list[float] = []
        watching = asyncio.create_task(watch_breaker(room, openings))
        jobs = [job for wave in WAVES for job in await run_jobs(room, wave, timeout_s=40)]
        watching.cancel()
    assert ends_of(jobs) == {JobState.SUCCEEDED: 20}
    failures = sum(call.status != 200 for call in room.simulator.ledger)
    assert len(openings) <= failures // TO_OPEN
    assert all(after - before > BREAKER_S for before, after in itertools.pairwise(openings))


@pytest.mark.parametrize("how", ["reset", "503"])
async def test_p82_jobs_wait_for_a_dead_provider_and_all_succeed_after_its_return(how: str) -> None:
    step = {"kind": "P82", "variant": how, "for": DEAD_S, "specimen": "good_png", "times": "always"}
    async with open_room("calm", BREAKER_SECONDS=BREAKER_S, CONCURRENCY=SLOTS) as room:
        room.simulator.script([step])
        started = time.monotonic()
        jobs = await run_jobs(room, 30, timeout_s=60)
        seconds = time.monotonic() - started
        waited = await waits(room, jobs)
    assert ends_of(jobs) == {JobState.SUCCEEDED: 30}
    assert seconds < DEAD_S + 30  # Celery without prefetching: a worker that was full takes new jobs once a second
    assert any("openrouter is unavailable" in text for text in waited)
    begins = [call.started_at for call in room.simulator.ledger if call.status != 200]
    in_a_row, probes = begins[: TO_OPEN + SLOTS - 1], begins[TO_OPEN + SLOTS - 1 :]
    assert in_a_row[-1] - in_a_row[0] < DEAD_S
    gaps = [after - before for before, after in itertools.pairwise([in_a_row[-1], *probes])]
    assert all(gap > 0.9 * BREAKER_S for gap in gaps), gaps


async def test_p82_a_provider_that_hangs_costs_only_the_jobs_that_it_may_have_billed_twice() -> None:
    step = {"kind": "P82", "variant": "hang", "for": DEAD_S, "specimen": "good_png", "times": "always"}
    async with open_room("swift", BREAKER_SECONDS=BREAKER_S, CONCURRENCY=SLOTS) as room:
        room.simulator.script([step])
        jobs = await run_jobs(room, 30, timeout_s=80)
    ends = ends_of(jobs)
    # A call that hung may have been billed, and is never repeated blindly more than once: so the jobs under way when
    # the provider begins to hang may spend both rungs on it, and fail. All others have to wait for its return.
    assert ends.pop("provider_timeout", 0) <= SLOTS
    assert set(ends) == {JobState.SUCCEEDED}
    hung = [call for call in room.simulator.ledger if call.status != 200]
    assert len(hung) <= TO_OPEN + SLOTS - 1 + DEAD_S / BREAKER_S


@pytest.mark.parametrize("variant", ["two_at_once", "with_retry_after"])
async def test_p83_no_job_is_lost_to_a_limit_of_parallel_calls(variant: str) -> None:
    step = {"kind": "P83", "variant": variant, "specimen": "good_png", "seconds": 0.2, "times": "always"}
    async with open_room("calm", CONCURRENCY=12) as room:
        room.simulator.script([step])
        jobs = await run_jobs(room, 12, timeout_s=60)
    assert ends_of(jobs) == {JobState.SUCCEEDED: 12}
    assert {attempt.rung for job in jobs for attempt in job.attempts} == {0}


@pytest.mark.parametrize("variant", ["two_at_once", "with_retry_after"])
async def test_p83_a_configured_limit_is_kept(variant: str) -> None:
    step = {"kind": "P83", "variant": variant, "specimen": "good_png", "seconds": 0.2, "times": "always"}
    async with open_room("calm", CONCURRENCY=12, MAX_CONCURRENCY=2) as room:
        room.simulator.script([step])
        jobs = await run_jobs(room, 12, timeout_s=60)
    assert ends_of(jobs) == {JobState.SUCCEEDED: 12}
    assert [call.status for call in room.simulator.ledger] == [200] * 12
    assert room.simulator.max_parallel <= 2
