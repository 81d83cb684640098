"""An owner's share: parked jobs, the cap on running ones, the budget of a day, on fakeredis and on a real Redis."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from contract.errors.catalogue.provider import CONTENT_REFUSED, NO_IMAGE
from contract.errors.exceptions import DarkroomError, Refused, Unavailable
from contract.jobs.job import JobState, Outcome
from contract.store.keys import digest
from tests.support.factories.job_store import JobStore
from tests.support.factories.jobs import attempt, image, new_job
from tests.support.store.table import all_submitted, bells, claimed, submitted, sweep

READY = 10
DAY_MS = 86_400_000


async def ready(redis: Redis) -> list[str]:
    return [str(job_id) for job_id in await redis.zrange("darkroom:queued", 0, -1)]


async def parked(redis: Redis) -> list[str]:
    return [str(job_id) for job_id in await redis.zrange("darkroom:parked", 0, -1)]


async def spent(redis: Redis, owner: str = "ann") -> int:
    [key] = [key async for key in redis.scan_iter(f"darkroom:owner:{digest(owner)}:spent:*")]
    assert DAY_MS < await redis.pttl(key) <= 2 * DAY_MS
    return int(str(await redis.get(key)))


async def refusal(store: JobStore, **changes: object) -> Refused:
    with pytest.raises(Refused) as refused:
        await submitted(store, **changes)
    return refused.value


# Parking


async def test_of_a_burst_ten_jobs_are_ready_and_the_others_parked(store: JobStore, redis: Redis) -> None:
    ids = await all_submitted(store, 13)
    assert (await ready(redis), await parked(redis)) == (ids[:READY], ids[READY:])
    assert await bells(redis) == ids[:READY]
    jobs = [await store.get(job_id) for job_id in ids]
    assert {job.state for job in jobs} == {JobState.QUEUED}
    assert [job.position for job in jobs] == list(range(13))
    assert jobs[12].progress.message == "Queued, 12 ahead."
    listed = {job.id: job.position for job in await store.jobs_of("ann", offset=0, limit=13)}
    assert listed == {job.id: job.position for job in jobs}
    assert await sweep(store) == 0
    assert await parked(redis) == ids[READY:]


async def test_a_stray_bell_for_a_parked_job_is_answered_with_nothing(store: JobStore, redis: Redis) -> None:
    *_, last = await all_submitted(store, 11)
    assert await store.claim(last, worker="w1", lease_s=15) is None
    assert await store.ring([last]) == 0
    assert await parked(redis) == [last]


async def test_a_claim_admits_the_next_one_and_rings_for_it(store: JobStore, redis: Redis) -> None:
    ids = await all_submitted(store, 12)
    await bells(redis)
    await claimed(store, ids[0])
    assert await bells(redis) == [ids[10]]
    assert (await ready(redis), await parked(redis)) == (ids[1:11], ids[11:])
    fields = await redis.hgetall(f"darkroom:job:{ids[10]}")
    assert fields["priority"] == "9"
    assert 9 * 10**13 + int(fields["created_at"]) <= int(fields["order"]) < 10**14


async def test_a_claim_keeps_its_lease_although_it_cannot_ring(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(_: object) -> int:
        raise Unavailable

    ids = await all_submitted(store, 11)
    monkeypatch.setattr(store, "ring", unavailable)
    lease = await claimed(store, ids[0])
    monkeypatch.undo()
    assert await store.renew("w1", [lease], lease_s=15) == []
    assert await sweep(store) == 1


@pytest.mark.parametrize("way", ["cancel", "delete", "expire"])
async def test_whoever_leaves_admits_the_next_one_and_the_sweeper_rings(
    store: JobStore, redis: Redis, way: str
) -> None:
    leaves = await submitted(store, queue_time_s=0 if way == "expire" else 60)
    *_, waits = await all_submitted(store, READY)
    assert await parked(redis) == [waits]
    await bells(redis)
    if way == "cancel":
        await store.cancel(leaves)
    elif way == "delete":
        await store.delete(leaves, owner="ann")
    assert await bells(redis) == []
    assert await sweep(store) == 1
    assert (await bells(redis), await parked(redis)) == ([waits], [])


async def test_whoever_is_admitted_far_behind_is_rung_for_all_the_same(store: JobStore, redis: Redis) -> None:
    for number in range(12):
        await all_submitted(store, READY, owner=f"owner-{number}")
    *anns, waits = await all_submitted(store, READY + 1)
    await bells(redis)
    await store.cancel(anns[-1])
    assert (await ready(redis))[-1] == waits
    assert await sweep(store) >= 1
    assert waits in await bells(redis)
    assert not await redis.exists("darkroom:unrung")


async def test_parked_jobs_expire_and_are_cancelled(store: JobStore, redis: Redis) -> None:
    await all_submitted(store, READY)
    expired, cancelled, stays = (
        await submitted(store, queue_time_s=0),
        *await all_submitted(store, 2),
    )
    assert await store.cancel(cancelled) is JobState.QUEUED
    await sweep(store)
    assert (await store.get(expired)).state is JobState.EXPIRED
    assert await parked(redis) == [stays]


async def test_owners_of_parked_jobs_take_turns(store: JobStore, redis: Redis) -> None:
    anns = await all_submitted(store, 14)
    bobs = await all_submitted(store, 12, owner="bob")
    assert await parked(redis) == [anns[10], bobs[10], anns[11], bobs[11], *anns[12:]]
    assert (await store.get(bobs[11])).position == 2 * READY + 3


async def test_parked_jobs_count_as_queued(store: JobStore) -> None:
    await all_submitted(store, 12)
    refused = await refusal(store, owner="bob", max_queued=12)
    assert (refused.code, refused.values) == ("queue_full", {"retry_after_s": 30})
    refused = await refusal(store, max_active=12)
    assert (refused.code, refused.values) == ("too_many_jobs", {"max": "12", "retry_after_s": 10})


async def test_the_sweeper_admits_whoever_was_forgotten_whoever_stands_before(store: JobStore, redis: Redis) -> None:
    for number in range(5):
        await all_submitted(store, READY + 60, owner=f"full-{number}")
    bobs = await all_submitted(store, READY + 1, owner="bob")
    await redis.zrem("darkroom:queued", bobs[0])  # as if somebody had died halfway
    await redis.zrem(f"darkroom:owner:{digest('bob')}:active", bobs[0])
    await bells(redis)
    await sweep(store)
    assert bobs[-1] in await ready(redis)
    assert len(await parked(redis)) == 5 * 60


async def test_a_parked_job_whose_hash_is_gone_stops_nobody(store: JobStore, redis: Redis) -> None:
    ids = await all_submitted(store, READY + 2)
    await redis.delete(f"darkroom:job:{ids[READY]}")
    await redis.zrem("darkroom:deadlines", ids[READY])
    await claimed(store, ids[0])
    assert await parked(redis) == []
    assert not await redis.exists(f"darkroom:job:{ids[READY]}")


# The cap on running jobs


async def test_no_more_jobs_of_an_owner_are_in_play_than_may_run(store: JobStore, redis: Redis) -> None:
    ids = await all_submitted(store, 5, max_running=2)
    assert await parked(redis) == ids[2:]
    leases = [await claimed(store, job_id) for job_id in ids[:2]]
    assert await parked(redis) == ids[2:]  # both still run
    await store.release(leases[0], wait_s=30)
    assert await parked(redis) == ids[2:]
    await store.end(leases[1], JobState.FAILED, DarkroomError(NO_IMAGE))
    assert (await ready(redis), await parked(redis)) == ([ids[2]], ids[3:])
    assert (await redis.hgetall(f"darkroom:job:{ids[2]}"))["priority"] == "1"


# The share of the slots


async def test_an_owner_leaves_a_slot_for_the_next_one(store: JobStore, redis: Redis) -> None:
    await store.renew("w1", [], lease_s=15, slots=8)
    await store.renew("w2", [], lease_s=15, slots=8)
    anns = [await claimed(store, job_id) for job_id in (await all_submitted(store, 20))[:14]]
    assert await ready(redis) == []  # two of sixteen slots are kept for others
    bobs = await all_submitted(store, 3, owner="bob")
    assert await ready(redis) == [bobs[0]]
    await claimed(store, bobs[0])
    for lease in anns[:7]:
        await store.end(lease, JobState.FAILED, DarkroomError(NO_IMAGE))
    assert len(await ready(redis)) == 6  # seven eighths of what bob leaves, and seven still run
    assert await parked(redis) == bobs[1:]


async def test_owners_of_parked_jobs_have_one_in_play_although_others_have_all_slots(
    store: JobStore, redis: Redis
) -> None:
    await store.renew("w1", [], lease_s=15, slots=8)
    for owner in ("ann", "bob", "carl"):
        for job_id in await all_submitted(store, 8, owner=owner):
            await store.claim(job_id, worker="w1", lease_s=15)
    last = await submitted(store, owner="dora")
    assert await ready(redis) == [last]


async def test_slots_of_workers_that_have_gone_do_not_count(store: JobStore, redis: Redis) -> None:
    await store.renew("gone", [], lease_s=15, slots=32)
    await store.renew("w1", [], lease_s=15, slots=8)
    await redis.zincrby("darkroom:workers", -61_000, "gone")
    for job_id in await all_submitted(store, 12):
        await store.claim(job_id, worker="w1", lease_s=15)
    assert len(await parked(redis)) == 12 - 7


async def test_few_slots_are_not_divided(store: JobStore, redis: Redis) -> None:
    await store.renew("w1", [], lease_s=15, slots=7)
    ids = await all_submitted(store, 9)
    assert await ready(redis) == ids


# The budget


async def test_a_budget_is_reserved_and_refuses_what_exceeds_it(store: JobStore, redis: Redis) -> None:
    money = {"budget_usd": 0.25, "price_usd": 0.04}
    await all_submitted(store, 3, **money)  # two images each
    assert await spent(redis) == 240_000
    before = await redis.dbsize()
    refused = await refusal(store, **money)
    assert refused.code == "budget_spent"
    wait_s = refused.values["retry_after_s"]
    seconds, _ = await redis.time()
    assert isinstance(wait_s, int)
    assert abs(86_400 - seconds % 86_400 - wait_s) <= 2
    assert await redis.dbsize() == before
    await submitted(store, owner="bob", **money)
    await submitted(store, price_usd=0.04)  # whoever has no budget
    assert await spent(redis) == 240_000


@pytest.mark.parametrize(
    ("calls", "cost"),
    [
        ([], 0),
        ([(Outcome.DELIVERED, 0.0123456)], 12_346),
        ([(Outcome.DELIVERED, None), (Outcome.TIMEOUT, None), (Outcome.INTERRUPTED, None)], 120_000),
        ([(Outcome.LOST, None), (Outcome.CANCELLED, None), (Outcome.RUNNING, None)], 120_000),
        ([(Outcome.TRANSIENT, None), (Outcome.RATE_LIMITED, None), (Outcome.UNUSABLE, None)], 0),
        ([(Outcome.REJECTED, 0.01), (Outcome.TIMEOUT, 0.0)], 10_000),
    ],
)
async def test_at_its_end_a_job_is_settled_once(
    store: JobStore, redis: Redis, calls: list[tuple[Outcome, float | None]], cost: int
) -> None:
    other, job_id = await all_submitted(store, 2, budget_usd=1.0, price_usd=0.04)
    lease = await claimed(store, job_id)
    for number, (outcome, cost_usd) in enumerate(calls):
        await store.begin_attempt(lease, number, attempt(outcome, cost_usd), max_calls=9)
    assert await spent(redis) == 160_000
    await store.end(lease, JobState.FAILED, DarkroomError(NO_IMAGE))
    assert await spent(redis) == 80_000 + cost
    await store.cancel(job_id)
    await store.delete(job_id, owner="ann")
    assert await spent(redis) == 80_000 + cost
    await store.cancel(other)
    assert await spent(redis) == cost


async def test_what_a_job_costs_beyond_its_reservation_counts_before_its_end(store: JobStore, redis: Redis) -> None:
    money = {"budget_usd": 0.25, "price_usd": 0.04}
    job_id = await submitted(store, **money)  # two images
    lease = await claimed(store, job_id)
    seen = []
    for number, cost in enumerate([0.05, 0.05, 0.1]):
        await store.begin_attempt(lease, number, attempt(Outcome.RUNNING), max_calls=9)
        ended = attempt(Outcome.REJECTED, cost)
        for _ in range(2):  # a repeat changes nothing
            await store.end_attempt(lease, number, ended)
        seen.append(await spent(redis))
    assert seen == [80_000, 100_000, 200_000]
    assert (await refusal(store, **money)).code == "budget_spent"
    await store.end(lease, JobState.FAILED, DarkroomError(CONTENT_REFUSED))
    assert await spent(redis) == 200_000


async def test_a_forgotten_day_is_not_settled(store: JobStore, redis: Redis) -> None:
    job_id = await submitted(store, budget_usd=1.0, price_usd=0.04)
    [key] = [key async for key in redis.scan_iter("darkroom:owner:*:spent:*")]
    await redis.delete(key)
    await store.cancel(job_id)
    assert not await redis.exists(key)


# Deleting


async def test_a_deleted_job_leaves_nothing_but_that_it_was(store: JobStore, redis: Redis) -> None:
    before = {str(key) async for key in redis.scan_iter("*")}
    job_id = await submitted(store, webhook="sealed")
    lease = await claimed(store, job_id)
    await store.add_image(lease, image(job_id, 0))
    await store.end(lease, JobState.SUCCEEDED)
    await bells(redis)
    job = await store.delete(job_id, owner="ann")
    assert (job.state, job.images, job.owner) == (JobState.SUCCEEDED, (image(job_id, 0),), "ann")
    await store.end_deletion(job_id)
    left = {str(key) async for key in redis.scan_iter("*")} - before
    counted = {"darkroom:kept", f"darkroom:owner:{digest('ann')}:marks"}
    assert left == {f"darkroom:deleted:{job_id}", "darkroom:served", "darkroom:journal", *counted}
    assert 0 < await redis.pttl(f"darkroom:deleted:{job_id}") <= 3_600_000
    assert await store.is_deleted(job_id)
    assert not await store.is_deleted("another")


async def test_a_deleted_job_that_no_worker_has_had_leaves_nothing(store: JobStore, redis: Redis) -> None:
    before = {str(key) async for key in redis.scan_iter("*")}
    job_id = await submitted(store, idempotency_key="key")
    await bells(redis)
    await store.delete(job_id, owner="ann")
    await store.end_deletion(job_id)
    assert {str(key) async for key in redis.scan_iter("*")} - before == {"darkroom:journal"}


async def test_deleting_an_active_job_cancels_it(store: JobStore, redis: Redis) -> None:
    waits, runs = await all_submitted(store, 2)
    lease = await claimed(store, runs)
    assert (await store.delete(waits, owner="ann")).state is JobState.QUEUED
    assert (await store.delete(runs, owner="ann")).state is JobState.RUNNING
    assert await store.renew("w1", [lease], lease_s=15) == [runs]
    assert await store.claim(waits, worker="w1", lease_s=15) is None
    assert await sweep(store) == 0
    for index in ("queued", "running", "deadlines", f"owner:{digest('ann')}:active", f"owner:{digest('ann')}:jobs"):
        assert not await redis.exists(f"darkroom:{index}")


async def test_only_ones_own_jobs_can_be_deleted(store: JobStore) -> None:
    job_id = await submitted(store)
    for delete in (store.delete(job_id, owner="bob"), store.delete("nobody", owner="ann")):
        with pytest.raises(Refused) as refused:
            await delete
        assert refused.value.code == "job_not_found"
    assert (await store.get(job_id)).state is JobState.QUEUED


async def test_the_latest_image_of_another_job_stays(store: JobStore) -> None:
    first, second = await all_submitted(store, 2)
    for job_id in (first, second):
        await store.add_image(await claimed(store, job_id), image(job_id, 0))
    await store.delete(first, owner="ann")
    assert await store.latest_image("ann", "chat") == image(second, 0).path
    await store.delete(second, owner="ann")
    assert await store.latest_image("ann", "chat") is None


async def test_the_key_of_a_deleted_job_can_be_used_again(store: JobStore) -> None:
    first = await submitted(store, idempotency_key="k")
    await store.delete(first, owner="ann")
    other = new_job(idempotency_key="k", conversation="elsewhere")
    assert await store.submit(other) == (other.id, False)
    assert await store.submit(new_job(idempotency_key="k", conversation="elsewhere")) == (other.id, True)
