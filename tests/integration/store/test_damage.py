"""A damaged job ends or is passed over, with a line in the log; it holds up nobody else's."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from contract.errors.exceptions import DarkroomError
from contract.jobs.job import TERMINAL, JobState, Outcome
from contract.monitoring.journal import read_journal
from contract.store.job_hash import read_state
from contract.store.keys import digest
from contract.store.lease import Lease, LeaseLost
from tests.support.factories.job_store import JobStore
from tests.support.factories.jobs import attempt, image
from tests.support.store.table import claimed, submitted, sweep
from worker.webhooks.outbox import WebhookOutbox

FIELDS = (
    *("state", "owner_digest", "created_at", "deadline", "retention", "priority", "order", "run_time", "fence"),
    *("crashes", "images", "not_before", "bell_at", "bells", "started_at", "max_running", "calls", "count"),
    *("reserved", "price", "budget_day", "contract", "worker", "kind", "webhook", "request", "attempt:0", "image:0"),
)
GONE, EMPTY = None, ""
VALUES = (GONE, EMPTY, "x", "nan", "-5", "9" * 40, '{"index": [], "model": {}, "code": []}')
Harm = tuple[str, str | None]
HARMS: list[Harm] = [(field, value) for field in FIELDS for value in (GONE, "x", "-5", VALUES[-1])]
INDEXES = ("queued", "waiting", "running", "deadlines", "parked")


async def with_a_webhook(store: JobStore, owner: str = "ann", **changes: object) -> str:
    return await submitted(store, owner=owner, budget_usd=900, price_usd=1, webhook='{"host": "h"}', **changes)


async def started(store: JobStore, owner: str = "ann", *, lease_s: float = 0) -> Lease:
    lease = await claimed(store, await with_a_webhook(store, owner), lease_s=lease_s)
    await store.begin_attempt(lease, 0, attempt(), max_calls=9)
    await store.add_image(lease, image(lease.job_id, 0))
    return lease


async def queued(store: JobStore) -> str:
    job_id = await with_a_webhook(store)
    await store.redis.delete("darkroom:bells")  # it was lost
    return job_id


async def waiting(store: JobStore) -> str:
    lease = await started(store)
    await store.release(lease, wait_s=0.001)
    await asyncio.sleep(0.002)
    return lease.job_id


async def running(store: JobStore) -> str:
    return (await started(store)).job_id


async def parked(store: JobStore) -> str:
    for _ in range(10):
        await with_a_webhook(store)
    return await with_a_webhook(store)


STAGES: dict[str, Callable[[JobStore], Coroutine[Any, Any, str]]] = {
    "queued": queued,
    "waiting": waiting,
    "running": running,
    "parked": parked,
}


async def harm(redis: Redis, job_id: str, field: str, value: str | None) -> None:
    key = f"darkroom:job:{job_id}"
    if value is None:
        await redis.hdel(key, field)
    else:
        await redis.hset(key, field, value)


async def fields_of(redis: Redis, job_id: str) -> dict[str, str]:
    found = await redis.hgetall(f"darkroom:job:{job_id}")
    return {str(name): str(value) for name, value in found.items()}


async def first_ready(redis: Redis) -> str:
    [job_id] = await redis.zrange("darkroom:queued", 0, 0)
    return str(job_id)


async def lease_end(redis: Redis, lease: Lease) -> float:
    return float(await redis.zscore("darkroom:running", lease.job_id) or 0)


async def stands(redis: Redis, job_id: str) -> set[str]:
    """Name the indexes that have a job."""
    return {name for name in INDEXES if await redis.zscore(f"darkroom:{name}", job_id) is not None}


async def check_harmless(store: JobStore, redis: Redis, job_id: str) -> None:
    """Sweep, and see that others' jobs come to their end, and this one too or is as good as any."""
    other = await started(store, "bob")  # its worker is dead
    rings = await with_a_webhook(store, "eve")
    await redis.delete("darkroom:bells")
    for _ in range(3):
        await sweep(store, bell_s=0)
    assert await store.claim(other.job_id, worker="w2", lease_s=15)
    assert await store.claim(rings, worker="w2", lease_s=15)
    assert await redis.llen("darkroom:bells") > 0
    fields = await fields_of(redis, job_id)
    if read_state(fields) in TERMINAL:
        assert not await stands(redis, job_id)
        assert await redis.zscore(f"darkroom:owner:{digest('ann')}:active", job_id) is None
    else:
        assert await stands(redis, job_id)
        assert await store.cancel(job_id) in (JobState.QUEUED, JobState.RUNNING)


@pytest.mark.parametrize("stage", STAGES)
async def test_no_damage_stops_a_sweep(store: JobStore, redis: Redis, stage: str) -> None:
    for field, value in HARMS:
        await redis.flushall()
        job_id = await STAGES[stage](store)
        await harm(redis, job_id, field, value)
        try:
            await check_harmless(store, redis, job_id)
        except (AssertionError, DarkroomError) as error:
            raise AssertionError(f"{field} = {value!r} in a {stage} job") from error


@pytest.mark.parametrize("stage", STAGES)
async def test_a_damaged_job_ends_once_and_is_told(
    store: JobStore, redis: Redis, stage: str, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = await STAGES[stage](store)
    await harm(redis, job_id, "deadline", GONE)
    if stage == "parked":  # it is seen when it is to be admitted
        await store.cancel(await first_ready(redis))
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            await sweep(store, bell_s=0)
    assert [record.getMessage() for record in caplog.records] == [
        f"job {job_id} is damaged in Redis, so it has ended",
    ]
    fields = await fields_of(redis, job_id)
    has_image = stage in ("waiting", "running")
    assert fields["state"] == ("succeeded" if has_image else "failed")
    job = await store.get(job_id)
    assert job.error
    assert job.error.code == "job_unreadable"
    assert 0 < await redis.pttl(f"darkroom:job:{job_id}") <= 3_600_000
    [move] = [line.move async for lines in _once(redis) for line in lines if line.move and line.move.job == job_id][-1:]
    assert move
    assert move.state == fields["state"]


async def _once(redis: Redis) -> Any:
    async for lines in read_journal(redis):
        yield lines
        return


@pytest.mark.parametrize("harmed", ["owner_digest", "everything"])
async def test_what_has_lost_its_owner_takes_no_place_of_theirs(store: JobStore, redis: Redis, harmed: str) -> None:
    job_id = await queued(store)
    key = f"darkroom:job:{job_id}"
    if harmed == "everything":
        await redis.delete(key)
        await redis.hset(key, mapping={"owner": "ann", "grain": "fine"})
    else:
        await redis.hset(key, "owner_digest", "?")
    await sweep(store, bell_s=0)
    assert not await stands(redis, job_id)
    assert await redis.zcard(f"darkroom:owner:{digest('ann')}:active") == 0


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("left", ["another kind of key", "nothing"])
async def test_a_job_without_its_hash_is_dropped(store: JobStore, redis: Redis, stage: str, left: str) -> None:
    job_id = await STAGES[stage](store)
    await redis.delete(f"darkroom:job:{job_id}")
    if left != "nothing":
        await redis.set(f"darkroom:job:{job_id}", "damaged")
    if stage == "parked":
        await store.cancel(await first_ready(redis))
    for _ in range(3):
        await sweep(store, bell_s=0)
    assert await stands(redis, job_id) <= {"deadlines"}  # which it leaves in its time
    with pytest.raises(DarkroomError):
        await store.claim(job_id, worker="w2", lease_s=15) or (await store.get(job_id))


@pytest.mark.parametrize("value", VALUES)
async def test_a_worker_renews_all_others_beside_a_damaged_job(
    store: JobStore, redis: Redis, value: str | None
) -> None:
    good, bad = await started(store, lease_s=15), await started(store, "bob", lease_s=15)
    await harm(redis, bad.job_id, "deadline", value)
    is_past = value == "-5"
    assert await store.renew("w1", [bad, good], lease_s=60) == [bad.job_id]
    assert await lease_end(redis, good) > await lease_end(redis, bad)
    for write in (
        lambda: store.begin_attempt(bad, 1, attempt(), max_calls=9),
        lambda: store.end_attempt(bad, 0, attempt(Outcome.DELIVERED)),
        lambda: store.add_image(bad, image(bad.job_id, 1)),
        lambda: store.release(bad),
        lambda: store.end(bad, JobState.SUCCEEDED),
    ):
        if not is_past:
            with pytest.raises(LeaseLost):
                await write()


async def test_a_damaged_bell_is_answered_and_its_job_ends(store: JobStore, redis: Redis) -> None:
    job_id = await with_a_webhook(store)
    await harm(redis, job_id, "run_time", "x")
    assert await store.claim(job_id, worker="w1", lease_s=15) is None
    await sweep(store, bell_s=0)
    assert (await store.get(job_id)).state is JobState.FAILED


@pytest.mark.parametrize("way", ["cancel", "delete"])
async def test_a_damaged_job_can_be_cancelled_and_deleted(store: JobStore, redis: Redis, way: str) -> None:
    for field, value in HARMS:
        if field in ("state", "owner_digest"):  # whether it is over and whose it is are not known then
            continue
        await redis.flushall()
        job_id = (await started(store)).job_id
        await harm(redis, job_id, field, value)
        try:
            await getattr(store, way)(job_id, owner="ann")
        except DarkroomError as error:
            if error.code != "job_unreadable":  # it has happened, but cannot be shown
                raise
        assert not await stands(redis, job_id)


async def test_a_damaged_count_of_tries_stops_no_other_webhook(store: JobStore, redis: Redis) -> None:
    jobs = [await with_a_webhook(store) for _ in range(3)]
    for job_id in jobs:
        await store.cancel(job_id)
    await harm(redis, jobs[0], "webhook_tries", "x")
    await redis.delete(f"darkroom:job:{jobs[1]}")
    await redis.set(f"darkroom:job:{jobs[1]}", "damaged")
    taken, _ = await WebhookOutbox(redis).take(9, busy={}, most_to_host=9, most_of_owner=9)
    assert {delivery.job_id for delivery in taken} == {jobs[0], jobs[2]}


async def test_damaged_records_beside_the_jobs_stop_nobody(store: JobStore, redis: Redis, tmp_path: Path) -> None:
    await redis.hset("darkroom:served", mapping={"0": "x", "1": ""})
    await redis.hset("darkroom:contact", mapping={"at": "x", "since": "y"})
    await redis.hset("darkroom:versions", "w1", "x")
    await redis.zadd("darkroom:workers", {"w1": 9e15})
    await redis.hset("darkroom:slots", "w1", "x")
    await redis.rpush("darkroom:durations:k", "x", "1000")
    await queued(store)
    assert await sweep(store, bell_s=0) == 1
    assert (await store.pace(["k"]))["k"].slots == 0
    job_id = await with_a_webhook(store)
    assert await store.claim(job_id, worker="w1", lease_s=15)
    await redis.xadd("darkroom:journal", {"job": "j", "state": "queued", "created_at": "x"})
    moves = [line.move async for lines in _once(redis) for line in lines]
    assert moves[-1] is None
    assert moves[0] is not None
