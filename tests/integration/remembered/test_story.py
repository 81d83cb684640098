"""The story of an ended job is kept in its hash: who follows it later, or comes back to it, reads the same."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from contract.jobs.job import JobState, Outcome
from tests.support.factories.job_store import JobStore
from tests.support.factories.jobs import attempt, image
from tests.support.store.table import running, submitted

STREAM_MS = 60_000  # how long the stream of an ended job stays


async def ended(store: JobStore) -> str:
    """Let a job live through a retry and an image."""
    lease = await running(store)
    await store.begin_attempt(lease, 0, attempt(), max_calls=9)
    await store.end_attempt(lease, 0, attempt(Outcome.TRANSIENT), event="retry", text="again, with a\nbreak")
    await store.add_image(lease, image(lease.job_id, 0))
    await store.end(lease, JobState.SUCCEEDED)
    return lease.job_id


async def test_the_story_of_an_ended_job_is_the_same_without_its_stream(store: JobStore, redis: Redis) -> None:
    job_id = await ended(store)
    _, before = await store.news(job_id)
    assert [event.type for event in before] == ["queued", "running", "attempt", "retry", "image", "succeeded"]
    last = await store.last_event(job_id)
    await redis.delete(f"darkroom:job:{job_id}:events")
    for place, event in enumerate(before):
        assert await store.news(job_id, after=event.id) == (JobState.SUCCEEDED, before[place + 1 :])
    assert await store.news(job_id) == (JobState.SUCCEEDED, before)
    assert await store.last_event(job_id) == last == before[-1].id


async def test_the_stream_of_an_ended_job_stays_only_for_those_who_follow_it_now(store: JobStore, redis: Redis) -> None:
    ends, waits = await ended(store), await submitted(store)
    assert 0 < await redis.pttl(f"darkroom:job:{ends}:events") <= STREAM_MS
    assert await redis.pttl(f"darkroom:job:{ends}") > STREAM_MS
    assert await redis.pttl(f"darkroom:job:{waits}:events") == -1


@pytest.mark.parametrize("story", ["", "x", "x y {}", "1-1 now {}", "1-1 1 {", '1-1 1 {"type": 1}'])
async def test_a_damaged_story_has_no_events(store: JobStore, redis: Redis, story: str) -> None:
    job_id = await ended(store)
    await redis.delete(f"darkroom:job:{job_id}:events")
    await redis.hset(f"darkroom:job:{job_id}", "story", story)
    assert await store.news(job_id) == (JobState.SUCCEEDED, [])
    assert await store.last_event(job_id) == "0"
