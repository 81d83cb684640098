"""Conformance of presence, on fakeredis and on a real Redis: gateways that wait for a job, leave it, and are killed."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from contract.jobs.job import JobState
from contract.store.keys import PREFIX, PRESENCE, presence_key
from producer.api.services.presence import LEAST_S, PATIENCE_S, RENEW_AGAIN_S, RENEW_S, Presence
from producer.client.redis_deadline import ANSWER_S
from tests.support.factories.job_store import JobStore
from tests.support.store.table import claimed, submitted


@pytest.fixture
def gateways(redis: Redis) -> tuple[Presence, Presence]:
    """Two gateways with one Redis, which judge at once."""
    return Presence(redis, patience_s=0), Presence(redis, patience_s=0)


async def state(store: JobStore, job_id: str) -> JobState:
    return (await store.get(job_id)).state


async def run_out(redis: Redis, job_id: str) -> None:
    """Let the time of all notes of a job pass."""
    for gateway in await redis.zrange(presence_key(job_id), 0, -1):
        await redis.zadd(presence_key(job_id), {str(gateway): 1})
    await redis.zadd(PRESENCE, {job_id: 1})


async def kept(redis: Redis) -> list[str]:
    return sorted([str(key) async for key in redis.scan_iter(f"{PRESENCE}*")])


@pytest.mark.parametrize("is_running", [False, True])
async def test_the_last_one_that_leaves_a_job_cancels_it(
    redis: Redis, store: JobStore, gateways: tuple[Presence, Presence], is_running: bool
) -> None:
    one, two = gateways
    job_id = await submitted(store)
    if is_running:
        await claimed(store, job_id)
    for gateway in gateways:
        await gateway.note({job_id: 30})
    assert await one.is_noted(job_id)
    assert not await one.leave(job_id)
    assert await state(store, job_id) in (JobState.QUEUED, JobState.RUNNING)
    assert await two.leave(job_id)
    assert await state(store, job_id) is JobState.CANCELLED
    assert await kept(redis) == []


async def test_a_job_that_may_go_on_is_left_alone(
    redis: Redis, store: JobStore, gateways: tuple[Presence, Presence]
) -> None:
    one, two = gateways
    first, second = [await submitted(store) for _ in range(2)]
    await one.note({first: 30, second: 30})
    await two.note({second: 30})
    assert not await one.leave(first, goes_on=True)
    await one.forget(second)
    assert (await state(store, first), await state(store, second)) == (JobState.QUEUED, JobState.QUEUED)
    assert await kept(redis) == []


async def test_a_job_that_is_over_or_unknown_needs_nobody(
    redis: Redis, store: JobStore, gateways: tuple[Presence, Presence]
) -> None:
    one, _ = gateways
    job_id = await submitted(store)
    await store.cancel(job_id)
    await one.note({job_id: 30, "00000000-0000-4000-8000-000000000000": 30})
    assert not await one.leave(job_id)
    assert await kept(redis) == []


async def test_what_a_killed_gateway_has_left_is_cancelled_and_what_others_have_is_not(
    redis: Redis, store: JobStore, gateways: tuple[Presence, Presence]
) -> None:
    killed, living = gateways
    left, shared = [await submitted(store) for _ in range(2)]
    await killed.note({left: 30, shared: 30})
    await living.sweep()
    for job_id in (left, shared):
        await run_out(redis, job_id)
    await living.note({shared: 30})
    assert await living.sweep() == [left]
    assert (await state(store, left), await state(store, shared)) == (JobState.CANCELLED, JobState.QUEUED)
    assert await living.sweep() == []


async def test_a_note_that_has_run_out_is_not_judged_by_one_that_leaves(
    redis: Redis, store: JobStore, gateways: tuple[Presence, Presence]
) -> None:
    one, two = gateways
    job_id = await submitted(store)
    for gateway in gateways:
        await gateway.note({job_id: 30})
    await run_out(redis, job_id)  # as in an outage: the other one has not renewed it yet
    assert not await one.leave(job_id)
    await two.note({job_id: 30})
    assert await one.sweep() == []
    assert await state(store, job_id) is JobState.QUEUED


@pytest.mark.parametrize(("last_ms", "since_ms", "is_judged"), [(1_000, 16_000, True), (16_000, 99_000, False)])
async def test_after_an_outage_gateways_have_time_to_renew_their_notes(
    redis: Redis, store: JobStore, last_ms: int, since_ms: int, is_judged: bool
) -> None:
    patient = Presence(redis)
    job_id = await submitted(store)
    await patient.note({job_id: 30})
    await run_out(redis, job_id)
    assert await patient.sweep() == []
    seconds, _ = await redis.time()
    for field, ago_ms in (("at", last_ms), ("since", since_ms)):
        await redis.hset(f"{PREFIX}gateway_contact", field, str(1000 * seconds - ago_ms))
    assert await patient.sweep() == ([job_id] if is_judged else [])


def test_a_note_outlives_an_outage_that_is_too_short_to_be_seen() -> None:
    assert LEAST_S > RENEW_S + PATIENCE_S + ANSWER_S + RENEW_AGAIN_S


async def test_thousands_are_noted_in_one_go(
    redis: Redis, store: JobStore, gateways: tuple[Presence, Presence]
) -> None:
    one, _ = gateways
    job_ids = [await submitted(store, owner=f"ann-{number}") for number in range(401)]
    await one.note(dict.fromkeys(job_ids, 30.0))
    assert await redis.zcard(PRESENCE) == 401
