"""Nothing grows for ever: what each ending of a job leaves in Redis expires, and so does what killed workers leave."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from simulator.server.server import Simulator

from contract.jobs.job import JobState, ReferenceSnapshot
from contract.redis.client import open_redis
from contract.store.doorbell import Doorbell
from contract.store.lease import Lease
from producer.api.services.presence import Presence
from producer.api.services.streams import Streams
from producer.api.sessions.records import IN_USE, SessionRecords
from tests.support.factories.job_store import JobStore
from tests.support.factories.jobs import image
from tests.support.stack.redis_server import RealRedis
from tests.support.stack.stack import Stack
from tests.support.store.table import claimed, submitted, sweep
from worker.policy.circuit_breaker import Blocked, CallOutcome, CircuitBreaker, CircuitBreakers

pytestmark = pytest.mark.real_redis

RETENTION_S = 60
LONGER_S = {
    **{":gate:": 86_400, ":breakers": 86_400, ":suspect:": 86_400, ":upload": 86_400},
    **{":spent:": 2 * 86_400, ":durations:": 30 * 86_400},
}
# Ten numbers; the signs of life of one hour, and slots with them; the last contact; some 20,000 lines; bytes of each
# owner. What these are of, an owner's lines list, until a sweep has seen that it is gone.
BOUNDED = {"served", "workers", "slots", "versions", "contact", "journal", "kept"}
LINES = (":kept", ":awaited", ":marks")
KOMBU = {"_kombu.binding.bells", "_kombu.binding_permanent.bells", "_kombu.binding_deadlines"}  # one member each
PIDBOX = "_kombu.binding.celery.pidbox"  # one member for each worker that may live


@pytest.fixture
async def redis(redis_server: RealRedis) -> AsyncIterator[Redis]:
    """An empty real Redis."""
    async with open_redis(redis_server.url) as client:
        await client.flushall()
        yield client


@pytest.fixture
def store(redis: Redis) -> JobStore:
    """A job table that remembers for a minute."""
    return JobStore(redis, Doorbell(), retention_s=RETENTION_S)


@pytest.fixture
def breaker(store: JobStore) -> CircuitBreaker:
    """A circuit breaker that lets one call through at a time."""
    return CircuitBreakers(store, limit=1, open_s=10).to("openrouter", "canary-key", "a/b")


async def with_a_price(store: JobStore, **changes: object) -> str:
    """Hand in a job that leaves a trace wherever jobs may."""
    keys = {"idempotency_key": str(uuid.uuid4()), "kind": "1k", "budget_usd": 100, "price_usd": 0.04}
    return await submitted(store, **keys, **changes)


async def started(store: JobStore, **changes: object) -> Lease:
    return await claimed(store, await with_a_price(store, **changes))


async def keys_of(redis: Redis) -> dict[str, int]:
    """List all keys without our prefix, with the seconds they still have; -1 is for ever."""
    keys = [str(key) async for key in redis.scan_iter("*")]
    return {key.removeprefix("darkroom:"): -(-await redis.pttl(key) // 1000) for key in keys}


async def assert_nothing_stays(redis: Redis) -> None:
    """Check that every key is bounded, or expires in time."""
    for key, left_s in (await keys_of(redis)).items():
        if key not in BOUNDED and not key.endswith(LINES):
            most_s = next((most_s for part, most_s in LONGER_S.items() if part in f":{key}"), RETENTION_S)
            assert 0 < left_s <= most_s, key


async def take_bells(redis: Redis) -> None:
    """Take all bells, as workers do."""
    await redis.delete("darkroom:bells", *(f"darkroom:bells:{priority}" for priority in range(1, 10)))


async def end_in_every_way(store: JobStore, redis: Redis) -> set[JobState]:
    """Bring jobs to every end there is; answer the states that they have reached."""
    for state in (JobState.SUCCEEDED, JobState.FAILED):
        lease = await started(store)
        await store.add_image(lease, image(lease.job_id, 0))
        await store.end(lease, state)
        await store.end(await started(store), state)
    await store.cancel(await with_a_price(store))
    deleted = await store.delete((await started(store)).job_id, owner="ann")
    await store.end_deletion(deleted.id)
    await store.cancel((await started(store)).job_id)
    waits = await started(store)
    await store.release(waits, wait_s=30)
    await store.cancel(waits.job_id)
    assert await store.claim(await with_a_price(store, queue_time_s=0), worker="w1", lease_s=15) is None
    await with_a_price(store, queue_time_s=0)  # expired by a sweep
    ended = await started(store, run_time_s=0)
    crashed = await started(store)
    for _ in range(3):
        await redis.zadd("darkroom:running", {crashed.job_id: 1, ended.job_id: 1})
        await sweep(store)
        await store.claim(crashed.job_id, worker="w1", lease_s=15)
    await store.renew("w1", [], lease_s=15, slots=4)
    upload = ReferenceSnapshot(source="fox.png", sha256="0" * 64, mime="image/png", bytes=80)
    await store.add_upload("ann", upload, most=1)
    await store.cancel(await submitted(store, snapshots=(upload,)))
    await store.add_upload("ann", upload.model_copy(update={"sha256": "1" * 64}), most=1)  # the other one gives way
    return {job.state for job in await store.jobs_of("ann", offset=0, limit=100)}


async def test_g24_jobs_of_every_ending_leave_only_what_expires(store: JobStore, redis: Redis) -> None:
    states = await end_in_every_way(store, redis)
    assert states == {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED}
    await take_bells(redis)
    await assert_nothing_stays(redis)
    kinds = {key.partition(":")[0] for key in await keys_of(redis)}
    assert kinds - BOUNDED == {
        *("job", "owner", "idem", "image", "lock", "suspect"),
        *("deleted", "durations", "uploads"),
    }


async def test_g24_of_an_owner_whose_jobs_have_expired_nothing_is_counted(store: JobStore, redis: Redis) -> None:
    await end_in_every_way(store, redis)
    await store.cancel(await with_a_price(store, webhook="{}"))
    waits = await with_a_price(store)
    assert set(await redis.zrange("darkroom:kept", 0, -1)) == set(await redis.zrange("darkroom:live", 0, -1))
    expires = [key async for key in redis.scan_iter("*") if await redis.pttl(key) > 0]
    await redis.delete(*expires)
    await sweep(store)
    await sweep(store)
    assert not await redis.exists("darkroom:kept")
    assert await redis.zcard("darkroom:live") == 2
    await store.delete(waits, owner="ann")
    await sweep(store)
    assert not await redis.exists("darkroom:live")
    assert [key async for key in redis.scan_iter("darkroom:owner:*") if await redis.pttl(key) < 0] == []


async def test_g24_the_list_of_an_owner_holds_what_is_remembered(store: JobStore, redis: Redis) -> None:
    job_id = await with_a_price(store)
    [jobs] = [str(key) async for key in redis.scan_iter("darkroom:owner:*:jobs")]
    await redis.zadd(jobs, {f"old-{number}": number for number in range(50)})
    await store.cancel(await with_a_price(store))
    assert await redis.zcard(jobs) == 2
    assert await redis.zscore(jobs, job_id) is not None


@pytest.mark.parametrize("outcome", CallOutcome)
async def test_g24_a_breaker_is_forgotten_after_a_day(
    outcome: CallOutcome, store: JobStore, breaker: CircuitBreaker, redis: Redis
) -> None:
    for number in range(6):
        lease = await started(store)
        await breaker.enter(lease, number, most_s=60)
        await breaker.leave(lease, number, outcome, code="provider_down")
        await store.end(lease, JobState.SUCCEEDED)
    await take_bells(redis)
    await assert_nothing_stays(redis)


async def test_g24_a_breaker_whose_woken_job_never_comes_is_forgotten_too(
    store: JobStore, breaker: CircuitBreaker, redis: Redis
) -> None:
    calls, waits = await started(store), await started(store)
    assert await breaker.enter(calls, 0, most_s=60) is None
    blocked = await breaker.enter(waits, 9, most_s=60)
    assert isinstance(blocked, Blocked)
    await store.release(waits, wait_s=blocked.wait_s, at_breaker=True)
    await breaker.leave(calls, 0, CallOutcome.GOOD)
    await store.end(calls, JobState.SUCCEEDED)
    assert await redis.zcard(f"darkroom:gate:{breaker.name}:calls") == 1  # the place kept for the woken job
    await store.cancel(waits.job_id)
    await take_bells(redis)
    await assert_nothing_stays(redis)


async def test_g24_what_gateways_tell_each_other_expires(store: JobStore, redis: Redis) -> None:
    """Also if none of them ever comes back."""
    job_id = await submitted(store)
    presence, sessions, streams = Presence(redis), SessionRecords(redis), Streams(redis, most=5)
    await presence.note({job_id: 70})
    await presence.sweep()
    await sessions.tell("ann", {}, opened="a")
    await sessions.tell("ann", {"a": IN_USE})
    async with streams.follow("ann"):
        await streams.hold()
        mine = ("presence", "gateway_contact", "sessions", "in_use", "streams")
        left_s = {key: left for key, left in (await keys_of(redis)).items() if any(part in key for part in mine)}
    assert len(left_s) == 6
    del left_s["gateway_contact"]  # two numbers
    assert all(0 < left <= 86_400 for left in left_s.values())
    assert max(left for key, left in left_s.items() if key.startswith("owner:")) <= 1800


@pytest.fixture
async def stack(tmp_path: Path, own_redis: RealRedis) -> AsyncIterator[Stack]:
    """A Darkroom without a worker yet."""
    async with Simulator(seconds=0.02) as simulator:
        stack = Stack(tmp_path, own_redis, simulator)
        stack.environment["DARKROOM_RETENTION_SECONDS"] = str(RETENTION_S)
        try:
            yield stack
        finally:
            stack.stop()


async def size_of(redis: Redis, key: str) -> int:
    """Count what a key holds."""
    kind: Any = await redis.type(key)
    count = {"set": redis.scard, "zset": redis.zcard, "hash": redis.hlen, "list": redis.llen}
    return int(await count[kind](key)) if kind in count else 1


async def kill_a_worker(stack: Stack, redis: Redis) -> None:
    """Start a worker, let it finish a job, and kill it in the midst of another."""
    worker = await stack.start_worker()
    async with stack.client() as darkroom:
        done = await darkroom.wait((await darkroom.submit(prompt="quick")).id, timeout_s=20)
        assert done.state is JobState.SUCCEEDED
        stack.simulator.script([{"kind": "slow", "seconds": 60}], match="slow")
        slow = await darkroom.submit(prompt="slow")
        async for event in darkroom.events(slow.id):
            if event.type == "attempt":
                break
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
        await darkroom.cancel(slow.id)


async def test_g24_killed_workers_leave_nothing_that_grows(stack: Stack) -> None:
    async with open_redis(stack.redis.url) as redis:
        for _ in range(3):
            await kill_a_worker(stack, redis)
        stays = {key for key, left_s in (await keys_of(redis)).items() if left_s < 0}
        assert stays <= BOUNDED | KOMBU | {PIDBOX}
        for key in KOMBU & stays:
            assert await size_of(redis, "darkroom:" + key) == 1
        # An hour later the next worker's sweeper forgets the dead ones.
        dead = await redis.zrange("darkroom:workers", 0, -1)
        await redis.zadd("darkroom:workers", dict.fromkeys(map(str, dead), 1))
        await stack.start_worker()
        async with asyncio.timeout(10):
            while await redis.zcard("darkroom:workers") > 1 or await size_of(redis, "darkroom:" + PIDBOX) > 1:
                await asyncio.sleep(0.05)
