"""What was asked for of late: whom a repeat finds, and for how long."""

from __future__ import annotations

from typing import cast

import pytest
from redis.asyncio import Redis

from contract.errors.catalogue.queue import QUEUE_FULL
from contract.errors.exceptions import DarkroomError, Refused, Unavailable
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
def recent(fake_redis: Redis) -> RecentRequests:
    return RecentRequests(Store(fake_redis, cast(Doorbell, None)), owner="ann")


class Door:
    """Accepts the one job, or refuses it, and remembers the idempotency keys that it heard."""

    def __init__(self, error: DarkroomError | None = None) -> None:
        self.keys: list[str] = []
        self.error = error

    async def accept(self, key: str) -> tuple[Job, bool]:
        """Submit it."""
        self.keys.append(key)
        if self.error:
            raise self.error
        return Store.job, False


async def test_who_comes_before_the_first_has_its_answer_has_the_same_key(
    recent: RecentRequests, fake_redis: Redis
) -> None:
    bobs = RecentRequests(Store(fake_redis, cast(Doorbell, None)), owner="bob")
    away = Door(Unavailable())  # nobody knows whether it has arrived
    for each in (recent, recent, bobs):
        with pytest.raises(Unavailable):
            await each.once(WHAT, away.accept, for_s=60)
    assert away.keys[0] == away.keys[1] != away.keys[2]
    assert await recent.find(WHAT) is None
    door = Door()
    assert await recent.once(WHAT, door.accept, for_s=60) == (Store.job, False)
    assert door.keys == away.keys[:1]


async def test_a_job_that_was_accepted_is_found_for_a_while(recent: RecentRequests, fake_redis: Redis) -> None:
    door = Door()
    assert await recent.once(WHAT, door.accept, for_s=60) == (Store.job, False)
    assert await recent.once(WHAT, door.accept, for_s=60) == (Store.job, True)
    assert len(door.keys) == 1
    [key] = await fake_redis.keys("*")
    assert 5000 < await fake_redis.pttl(key) <= 60_000
    await recent.note(WHAT, Store.job, for_s=5)
    assert await recent.find(WHAT) == Store.job
    assert 0 < await fake_redis.pttl(key) <= 5000
    assert "fox" not in key


async def test_what_was_cancelled_is_submitted_anew(
    recent: RecentRequests, fake_redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = Door()
    monkeypatch.setattr(Store, "job", a_job(state=JobState.CANCELLED))
    await recent.once(WHAT, door.accept, for_s=60)
    assert await recent.find(WHAT) is None
    _, is_repeat = await recent.once(WHAT, door.accept, for_s=60)
    assert (is_repeat, len(set(door.keys))) == (False, 2)


async def test_what_was_refused_is_forgotten(recent: RecentRequests, fake_redis: Redis) -> None:
    with pytest.raises(Refused):
        await recent.once(WHAT, Door(Refused(QUEUE_FULL)).accept, for_s=60)
    assert await fake_redis.keys("*") == []


async def test_what_is_owed_is_taken_once_also_if_it_was_cancelled(recent: RecentRequests) -> None:
    await recent.note(WHAT, Store.job.model_copy(update={"state": JobState.CANCELLED}))
    taken = await recent.take(WHAT)
    assert taken is not None
    assert (taken.id, await recent.take(WHAT)) == (Store.job.id, None)
