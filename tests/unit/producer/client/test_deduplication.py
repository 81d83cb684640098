"""What was asked for of late: whom a repeat finds, and for how long."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

import fakeredis
import pytest
from redis.asyncio import Redis

from contract.jobs.job import Job, JobState
from contract.store.doorbell import Doorbell
from contract.store.producer_store import ProducerStore
from producer.client.deduplication import RecentRequests
from tests.support.factories.ended_job import a_job

WHAT = '["mcp", {"prompt": "a fox"}]'


class Store(ProducerStore):
    """A job table with one job."""

    job = a_job()

    async def get(self, job_id: str, *, owner: str | None = None) -> Job:
        """Look at it."""
        assert (job_id, owner) == (self.job.id, "ann")
        return self.job


@pytest.fixture
async def redis() -> AsyncIterator[Redis]:
    client: Redis = fakeredis.FakeAsyncRedis(decode_responses=True)
    yield client
    await client.aclose()


@pytest.fixture
def recent(redis: Redis) -> RecentRequests:
    return RecentRequests(Store(redis, cast(Doorbell, None)), owner="ann")


async def test_who_begins_at_the_same_time_gets_the_same_key(recent: RecentRequests, redis: Redis) -> None:
    bobs = RecentRequests(Store(redis, cast(Doorbell, None)), owner="bob")
    first = await recent.begin(WHAT, for_s=60)
    assert await recent.begin(WHAT, for_s=60) == first
    assert await bobs.begin(WHAT, for_s=60) != first
    assert await recent.find(WHAT) is None


async def test_a_job_that_was_noted_is_found_for_a_while(recent: RecentRequests, redis: Redis) -> None:
    job = a_job()
    await recent.begin(WHAT, for_s=60)
    await recent.note(WHAT, job, for_s=5)
    assert await recent.find(WHAT) == job
    assert await recent.begin(WHAT, for_s=60) == job
    [key] = await redis.keys("*")
    assert 0 < await redis.pttl(key) <= 5000
    assert "fox" not in key


async def test_what_was_cancelled_or_refused_is_begun_anew(
    recent: RecentRequests, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await recent.begin(WHAT, for_s=60)
    monkeypatch.setattr(Store, "job", cancelled := a_job(state=JobState.CANCELLED))
    await recent.note(WHAT, cancelled)
    assert await recent.find(WHAT) is None
    assert await recent.begin(WHAT, for_s=60) != first
    await recent.forget(WHAT)
    assert await redis.keys("*") == []
