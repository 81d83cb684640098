"""Processes of several versions on one job table: what one cannot read it leaves, and nobody else's jobs suffer."""

from __future__ import annotations

import json

import pytest
from redis.asyncio import Redis

from contract.errors.exceptions import DarkroomError
from contract.jobs.job import JobState, Outcome
from contract.store.keys import digest
from tests.support.factories.job_store import JobStore
from tests.support.factories.jobs import attempt, image
from tests.support.store.table import all_submitted, claimed, submitted

UNREADABLE = ("{", "[]", '{"prompt": 1}')


@pytest.mark.parametrize("request_", UNREADABLE)
async def test_one_job_that_cannot_be_read_keeps_no_other_one_from_being_seen(
    store: JobStore, redis: Redis, request_: str
) -> None:
    good, bad, other = await all_submitted(store, 3)
    await redis.hset(f"darkroom:job:{bad}", "request", request_)
    await redis.hdel(f"darkroom:job:{bad}", "conversation")
    page, _ = await store.page_of("ann", before=None, limit=10, state=None, conversation=None)
    assert {job.id for job in page} == {good, other}
    assert {job.id for job in await store.jobs_of("ann", offset=0, limit=10)} == {good, other}
    with pytest.raises(DarkroomError) as raised:
        await store.get(bad, owner="ann")
    assert raised.value.code == "job_unreadable"
    assert await store.cancel(bad, owner="ann") is JobState.QUEUED


async def test_an_event_that_cannot_be_read_keeps_no_other_one_from_being_seen(store: JobStore, redis: Redis) -> None:
    job_id = await submitted(store)
    for event in (
        "{",
        "[]",
        '{"type": 1}',
        '{"type": "queued", "text": null}',
        '{"type": "dried", "id": "x", "at": 1}',
    ):
        await redis.xadd(f"darkroom:job:{job_id}:events", {"at": "1000", "event": event})
    await redis.xadd(f"darkroom:job:{job_id}:events", {"new": "form"})
    state, events = await store.news(job_id)
    assert (state, [event.type for event in events]) == (JobState.QUEUED, ["queued", "dried"])


async def test_a_job_in_a_state_of_a_newer_version_is_shown_followed_and_cancelled(
    store: JobStore, redis: Redis
) -> None:
    job_id = await submitted(store)
    await redis.hset(f"darkroom:job:{job_id}", "state", "proofing")
    assert (await store.get(job_id)).state is JobState.QUEUED
    assert (await store.news(job_id))[0] is JobState.QUEUED
    waits = frozenset({JobState.QUEUED})
    page, _ = await store.page_of("ann", before=None, limit=1, state=waits, conversation=None)
    assert [job.id for job in page] == [job_id]
    assert await store.cancel(job_id, owner="ann") is JobState.RUNNING
    assert (await store.get(job_id)).state is JobState.CANCELLED
    assert await store.cancel(job_id, owner="ann") is JobState.CANCELLED


async def test_a_job_in_a_state_of_a_newer_version_can_be_deleted(store: JobStore, redis: Redis) -> None:
    job_id = await submitted(store)
    await redis.hset(f"darkroom:job:{job_id}", mapping={"state": "proofing", "image:0": "damaged"})
    await store.delete(job_id, owner="ann")
    assert not await redis.exists(f"darkroom:job:{job_id}")
    assert await redis.zcard(f"darkroom:owner:{digest('ann')}:active") == 0


async def test_damaged_calls_keep_no_job_from_ending_and_unknown_ones_may_have_been_billed(
    store: JobStore, redis: Redis
) -> None:
    job_id = await submitted(store, budget_usd=10, price_usd=1)
    lease = await claimed(store, job_id)
    calls = [attempt(Outcome.TRANSIENT), attempt(Outcome.DELIVERED, cost_usd=0.5)]
    texts = [call.model_dump_json() for call in calls]
    texts += [json.dumps(json.loads(texts[0]) | {"outcome": "moved"}), "damaged", "[]"]
    await redis.hset(f"darkroom:job:{job_id}", mapping={f"attempt:{n}": text for n, text in enumerate(texts)})
    await store.add_image(lease, image(job_id, 0))
    assert await store.end(lease, JobState.SUCCEEDED) is JobState.SUCCEEDED
    [spent] = [key async for key in redis.scan_iter("darkroom:owner:*:spent:*")]
    assert await redis.get(spent) == "3500000"


async def test_an_upload_that_cannot_be_read_is_not_there(store: JobStore, redis: Redis) -> None:
    await redis.set(f"darkroom:owner:{digest('ann')}:upload:{'0' * 64}", "damaged")
    assert await store.upload("ann", "0" * 64) is None
