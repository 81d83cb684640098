"""What the watchdog makes of what it sees."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat

import pytest
from celery.signals import task_postrun, task_prerun
from redis.asyncio import Redis

from contract.redis.client import open_redis
from contract.store.celery_app import BELLS_KEY
from contract.store.doorbell import Doorbell
from contract.store.worker_store import WorkerStore
from worker.execution.leases import Leases
from worker.process.watchdog import PATIENCE, Observation, Watchdog


def watchdog(redis: Redis | None = None, *, slots: int = 2, leases: Leases | None = None) -> Watchdog:
    """Make a watchdog of a worker that has just begun; without a Redis, of one whose Redis is away."""
    store = WorkerStore(redis or open_redis("redis://127.0.0.1:1/0"), Doorbell())
    return Watchdog(store, leases or Leases(store, worker="w1", lease_s=15), slots=slots)


def after(*sights: Observation) -> list[bool]:
    """Show a watchdog these sights; answer after which of them there is no hope."""
    dog = watchdog()
    return [dog.is_hopeless(sight) for sight in sights]


@pytest.mark.parametrize("ill", [Observation.STUCK, Observation.NOT_CONSUMING])
def test_hope_ends_with_the_sixth_look_in_a_row_that_shows_the_same_thing_amiss(ill: Observation) -> None:
    assert after(*repeat(ill, PATIENCE + 1)) == [False] * (PATIENCE - 1) + [True, True]
    assert not any(after(*chain.from_iterable(repeat([*repeat(ill, PATIENCE - 1), Observation.WELL], 3))))


def test_there_is_hope_while_all_is_well_and_while_it_is_now_this_and_now_that() -> None:
    assert not any(after(*repeat(Observation.WELL, 20)))
    assert not any(after(*chain.from_iterable(repeat([Observation.STUCK, Observation.NOT_CONSUMING], 20))))


async def test_a_worker_that_stops_need_hear_no_bells(fake_redis: Redis) -> None:
    leases = Leases(WorkerStore(fake_redis, Doorbell()), worker="w1", lease_s=15)
    dog = watchdog(fake_redis, leases=leases)
    await fake_redis.lpush(BELLS_KEY, "bell")
    assert [await dog.look(), await dog.look()] == [Observation.WELL, Observation.NOT_CONSUMING]
    leases.close()
    assert await dog.look() is Observation.WELL


@pytest.mark.parametrize("priority", ["", ":1", ":9"])
async def test_bells_that_lie_while_a_slot_is_free_and_none_is_heard_make_a_deaf_worker(
    fake_redis: Redis, priority: str
) -> None:
    dog = watchdog(fake_redis)
    await fake_redis.lpush(BELLS_KEY + priority, "bell")
    assert await dog.look() is Observation.WELL, "it has just begun"
    assert await dog.look() is Observation.NOT_CONSUMING
    task_prerun.send(sender=None, task_id="a")
    assert await dog.look() is Observation.WELL, "it has heard one"
    assert await dog.look() is Observation.NOT_CONSUMING
    await fake_redis.delete(BELLS_KEY + priority)
    assert await dog.look() is Observation.WELL


async def test_a_worker_without_a_free_slot_need_not_hear(fake_redis: Redis) -> None:
    dog = watchdog(fake_redis, slots=2)
    await fake_redis.lpush(BELLS_KEY, "bell")
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        for slot, job in ((one, "a"), (other, "a"), (one, "b")):  # a bell of a running job was repeated
            slot.submit(task_prerun.send, sender=None, task_id=job).result()
        assert [await dog.look() for _ in range(3)] == [Observation.WELL] * 3
        other.submit(task_postrun.send, sender=None, task_id="a").result()
        assert await dog.look() is Observation.NOT_CONSUMING


async def test_a_redis_that_is_away_says_nothing_about_the_worker() -> None:
    dog = watchdog()
    assert [await dog.look() for _ in range(2)] == [Observation.WELL] * 2
