"""A real worker whose Redis loses answers of every script: no job is late by a lease, or called for twice."""

from __future__ import annotations

from collections import Counter

import pytest
from simulator.catalogue.script import Step

from contract.jobs.job import JobState, Outcome
from contract.redis.client import open_redis
from tests.support.stack.stack import Stack
from tests.support.store.lossy_redis import LossyRedis, Mode, names_by_digest

pytestmark = [pytest.mark.real_redis, pytest.mark.timeout(120)]

OF_A_JOB = {f"jobs/{name}" for name in ("claim", "begin_attempt", "end_attempt", "add_image", "end")} | {
    "breaker/enter",
    "breaker/leave",
}
SWALLOWED = {"jobs/claim", "jobs/end_attempt"}  # each is waited for
TWICE = 2


async def test_a_job_whose_answers_are_all_lost_twice_is_made_as_any_other(stack: Stack) -> None:
    turns: Counter[str] = Counter()

    def first_two(name: str) -> Mode | None:
        turns[name] += 1
        is_swallowed = name in SWALLOWED and turns[name] == TWICE
        return ("swallowed" if is_swallowed else "closed") if turns[name] <= TWICE else None

    steps = iter([Step("status", {"status": 500, "failure": "server"}, "500")])
    stack.simulator.improvise(lambda _: next(steps, Step("ok", {"side": 96}, "ok")))
    async with LossyRedis(stack.redis.socket, names_by_digest()) as lossy:
        await stack.start_worker(DARKROOM_REDIS_URL=f"redis://127.0.0.1:{lossy.port}")
        lossy.lose_some(first_two)
        async with stack.client() as darkroom:
            job = await darkroom.submit(prompt="a red fox")
            job = await darkroom.wait(job.id)
            told = Counter([event.type async for event in darkroom.events(job.id)])
        await stack.says("worker", f"job {job.id} succeeded")  # once it has an answer
    assert job.state is JobState.SUCCEEDED
    assert [attempt.outcome for attempt in job.attempts] == [Outcome.TRANSIENT, Outcome.DELIVERED]
    assert len(stack.simulator.ledger) == 2
    assert told == {"queued": 1, "running": 1, "attempt": 2, "retry": 1, "image": 1, "succeeded": 1}
    assert {name for name in OF_A_JOB if lossy.lost[name] != TWICE} == set()
    async with open_redis(stack.redis.url) as client:
        fields = await client.hmget(f"darkroom:job:{job.id}", "fence", "crashes", "calls")
        gates = [key async for key in client.scan_iter("darkroom:gate:*:calls")]
    assert fields == ["1", "0", "2"]
    assert gates == []  # no place is kept
    assert "left to others" not in stack.logs()
