"""Contract numbers: a job that needs a newer worker is left to one, and holds up nobody."""

from __future__ import annotations

import json
import logging

import pytest
from redis.asyncio import Redis

from contract.jobs.job import JobState
from contract.monitoring.fleet import Build, read_fleet
from contract.store import scripts
from contract.store.doorbell import Doorbell
from contract.version import CONTRACT, own_version
from tests.support.factories.job_store import JobStore
from tests.support.factories.jobs import new_job
from tests.support.store.table import all_submitted, claimed, submitted, sweep

NEXT = CONTRACT + 1
LIST = f"darkroom:bells-{NEXT}"


@pytest.fixture
def newer(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> JobStore:
    """The job table as the next version has it."""
    with monkeypatch.context() as patch:
        patch.setattr(scripts, "CONTRACT", NEXT)
        return JobStore(redis, Doorbell(), retention_s=3600)


async def numbers(redis: Redis, key: str) -> list[int]:
    """Read the contract numbers of all bells in a list."""
    return [json.loads(bell)["headers"]["contract"] for bell in await redis.lrange(key, 0, -1)]


async def test_job_bell_and_sign_of_life_carry_the_number(store: JobStore, redis: Redis) -> None:
    job_id = await submitted(store)
    await store.renew("w1", [], lease_s=15)
    assert await redis.hget(f"darkroom:job:{job_id}", "contract") == str(CONTRACT)
    assert await numbers(redis, "darkroom:bells") == [CONTRACT]
    assert await redis.hgetall("darkroom:versions") == {"w1": f"{CONTRACT} {own_version()}"}


async def test_a_newer_job_is_left_as_it_is_and_told_once(
    store: JobStore, newer: JobStore, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = await all_submitted(newer, 3)
    assert await numbers(redis, LIST) == [NEXT]  # a list for each priority
    assert not await redis.exists("darkroom:bells")
    before = [await redis.hgetall(f"darkroom:job:{job_id}") for job_id in jobs]
    with caplog.at_level(logging.WARNING):
        for job_id in jobs:
            assert await store.claim(job_id, worker="w1", lease_s=15) is None
    after = [await redis.hgetall(f"darkroom:job:{job_id}") for job_id in jobs]
    rung = {"bell_at", "bells"}
    assert [job.items() - {(name, job[name]) for name in rung} for job in after] == [
        job.items() - {(name, job[name]) for name in rung} for job in before
    ]
    assert await numbers(redis, LIST) == [NEXT, NEXT]  # it was heard by the wrong one, so it is rung for the right ones
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        f"job {jobs[0]} needs contract {NEXT}, and this worker has {CONTRACT}"
    ]
    assert await newer.claim(jobs[0], worker="w2", lease_s=15)


async def test_an_older_sweeper_rings_where_newer_workers_listen(
    store: JobStore, newer: JobStore, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = await submitted(newer)
    await redis.delete(LIST)
    with caplog.at_level(logging.WARNING):
        assert [await sweep(store, bell_s=0) for _ in range(3)] == [1, 0, 0]
    assert await numbers(redis, LIST) == [NEXT]
    assert not await redis.exists("darkroom:bells")
    assert len(caplog.records) == 1
    assert job_id in caplog.records[0].getMessage()


async def test_a_lost_bell_is_known_by_younger_ones_of_its_own_list(
    store: JobStore, newer: JobStore, redis: Redis
) -> None:
    lost, heard = [(await newer.submit(new_job(owner=owner)))[0] for owner in ("ann", "bob")]
    await redis.hincrby(f"darkroom:job:{lost}", "bell_at", -9000)
    old = await submitted(store, owner="eve")
    assert await store.claim(old, worker="w1", lease_s=15)
    assert await sweep(newer, bell_s=1) == 0
    assert await newer.claim(heard, worker="w1", lease_s=15)
    assert await sweep(newer, bell_s=1) == 1


async def test_a_newer_worker_does_older_jobs_and_those_without_a_number(
    store: JobStore, newer: JobStore, redis: Redis
) -> None:
    older, oldest = await submitted(store), await submitted(store)
    await redis.hdel(f"darkroom:job:{oldest}", "contract")
    await redis.delete("darkroom:bells", "darkroom:bells:1")
    assert await sweep(newer, sweeper="w2", bell_s=0) == 2
    assert await numbers(redis, "darkroom:bells") == await numbers(redis, "darkroom:bells:1") == [1]
    assert all([await newer.claim(job_id, worker="w2", lease_s=15) for job_id in (older, oldest)])


async def test_a_newer_sweeper_takes_over_from_an_older_one_and_not_the_other_way_round(
    store: JobStore, newer: JobStore, redis: Redis
) -> None:
    for name, table in (("old", store), ("new", newer)):
        await table.renew(name, [], lease_s=15)
    holders = []
    for name, table in (("old", store), ("new", newer), ("old", store), ("new", newer)):
        await sweep(table, sweeper=name)
        holders.append(await redis.get("darkroom:lock:sweeper"))
    assert holders == ["old", "new", "new", "new"]


async def test_a_sweeper_without_a_number_is_older_than_all(store: JobStore, redis: Redis) -> None:
    await redis.set("darkroom:lock:sweeper", "old", px=60_000)
    await sweep(store)
    assert await redis.get("darkroom:lock:sweeper") == "w1"
    await sweep(store, sweeper="w2")
    assert await redis.get("darkroom:lock:sweeper") == "w1"


async def test_a_newer_job_that_no_worker_can_do_ends_in_its_time(store: JobStore, newer: JobStore) -> None:
    job_id = (await newer.submit(new_job(queue_time_s=0)))[0]
    await sweep(store)
    assert (await store.get(job_id)).state is JobState.EXPIRED


async def test_what_is_known_of_a_worker_goes_with_it(store: JobStore, redis: Redis) -> None:
    await redis.zadd("darkroom:workers", {"killed": 1})
    await redis.hset("darkroom:versions", mapping={"killed": "1 0.1", "forgotten by an older sweeper": "1 0.1"})
    await store.renew("w1", [], lease_s=15)
    await sweep(store)
    assert set(await redis.hgetall("darkroom:versions")) == {"w1"}


async def test_the_fleet_and_what_jobs_need_are_read(store: JobStore, newer: JobStore, redis: Redis) -> None:
    await store.renew("w1", [], lease_s=15)
    await newer.renew("w2", [], lease_s=15)
    for name, told in (("silent", "9 9.0"), ("damaged", "x y"), ("oldest", "")):
        await redis.hset("darkroom:versions", name, told)
    seconds, _ = await redis.time()
    await redis.zadd(
        "darkroom:workers", {"silent": 1000 * (seconds - 60), "damaged": 1000 * seconds, "older": 1000 * seconds}
    )
    await redis.hdel(f"darkroom:job:{await submitted(store)}", "contract")
    ids = await all_submitted(newer, 12)  # ten are ready, the others parked
    lease = await claimed(newer, ids[0], worker="w2")
    await claimed(newer, ids[1], worker="w2")
    await newer.release(lease, wait_s=60)
    fleet = await read_fleet(redis)
    own = own_version()
    assert fleet.workers == {
        "w1": Build(CONTRACT, own),
        "w2": Build(NEXT, own),
        "damaged": Build(0, "y"),
        "older": Build(),
    }
    assert fleet.jobs == {0: 1, NEXT: 12}
    assert (fleet.contract, fleet.needing(CONTRACT), fleet.needing(NEXT)) == (NEXT, 12, 0)
    assert sum((await read_fleet(redis, most=3)).jobs.values()) == 3 + 1 + 1 + 1
