"""Images of one job that wait: for a place at the circuit breaker, or for a provider while another one is drawn."""

from __future__ import annotations

from typing import Any

import pytest

from contract.jobs.job import Job, JobState, Outcome
from tests.support.stack.stack import Stack

pytestmark = pytest.mark.real_redis


async def run(stack: Stack, **request: Any) -> tuple[Job, list[str]]:
    """Run a job to its end; answer it and the types of its events."""
    async with stack.client() as darkroom:
        job = await darkroom.wait((await darkroom.submit(prompt="x", **request)).id, timeout_s=40)
        return job, [event.type async for event in darkroom.events(job.id)]


async def test_images_of_a_job_pass_a_single_place_on_without_giving_their_slot_back(stack: Stack) -> None:
    await stack.start_worker(DARKROOM_MAX_CONCURRENCY="1")
    stack.simulator.script([{"kind": "slow", "seconds": 0.5, "times": 4}])
    job, events = await run(stack, count=4)
    assert (job.state, job.progress.done) == (JobState.SUCCEEDED, 4)
    assert (stack.simulator.max_parallel, len(stack.simulator.ledger)) == (1, 4)
    assert events.count("running") == 1
    assert "waiting" not in events


async def test_little_time_before_a_busy_gate_is_used_and_not_given_up(stack: Stack) -> None:
    await stack.start_worker(DARKROOM_MAX_CONCURRENCY="1")
    stack.simulator.script([{"kind": "slow", "seconds": 1, "times": 3}])
    job, _ = await run(stack, count=3, deadline_seconds=14.0)
    assert (job.state, job.progress.done, job.error) == (JobState.SUCCEEDED, 3, None)


async def test_a_wait_that_is_over_while_a_sister_is_drawn_is_not_served_again(stack: Stack) -> None:
    await stack.start_worker()
    # Not a 429: that would teach the circuit breaker to let one call through at a time, and the other's is under way.
    limited = {"kind": "status", "status": 503, "headers": {"Retry-After": "6"}}
    stack.simulator.script([limited, {"kind": "slow", "seconds": 9}])
    job, events = await run(stack, count=2)
    assert (job.state, job.progress.done) == (JobState.SUCCEEDED, 2)
    assert [attempt.outcome for attempt in job.attempts].count(Outcome.RATE_LIMITED) == 1
    first, _, again = sorted(call.started_at for call in stack.simulator.ledger)
    assert 6 <= again - first < 9  # before the sister is there
    assert "waiting" not in events


async def test_what_is_left_of_a_wait_is_served_in_the_queue_once_no_sister_is_drawn(stack: Stack) -> None:
    await stack.start_worker()
    limited = {"kind": "status", "status": 429, "headers": {"Retry-After": "8"}}
    stack.simulator.script([limited, {"kind": "slow", "seconds": 2}])
    job, events = await run(stack, count=2)
    assert (job.state, job.progress.done) == (JobState.SUCCEEDED, 2)
    assert events.count("waiting") == 1
    first, _, again = sorted(call.started_at for call in stack.simulator.ledger)
    assert 8 <= again - first < 11
