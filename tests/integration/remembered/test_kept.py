"""What Redis remembers of jobs has a bound, for each owner and in all; the oldest ended ones are forgotten first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from contract.errors.exceptions import Refused, Unavailable
from contract.jobs.job import JobState
from contract.jobs.request import MAX_PROMPT
from contract.redis.client import open_redis
from contract.store.doorbell import Doorbell
from contract.store.keys import digest
from contract.store.new_job import ChatDelivery, KeepLimits
from producer.chat.outbox import ChatOutbox
from tests.support.factories.job_store import JobStore
from tests.support.factories.jobs import asked, image
from tests.support.stack.redis_server import RealRedis
from tests.support.store.table import all_submitted, bells, running, submitted, sweep
from worker.webhooks.outbox import WebhookOutbox, WebhookState

pytestmark = [pytest.mark.real_redis, pytest.mark.parametrize("redis", ["real"], indirect=True)]

LARGE = asked("\N{GRINNING FACE}" * MAX_PROMPT)  # 128,000 bytes
LARGE_BYTES = 160_000  # that such a job takes at most
MIB = 2**20
THREE = KeepLimits(jobs=3)


async def cancelled(store: JobStore, **changes: object) -> str:
    """Submit a job and cancel it."""
    job_id = await submitted(store, **changes)
    await store.cancel(job_id)
    return job_id


async def known(store: JobStore, *ids: str) -> list[str]:
    """Leave those out that are forgotten."""
    return [job_id for job_id in ids if await store.redis.exists(f"darkroom:job:{job_id}")]


async def refusal(store: JobStore, **changes: object) -> Refused:
    with pytest.raises(Refused) as refused:
        await submitted(store, **changes)
    return refused.value


async def until_refused(store: JobStore, **changes: object) -> Refused:
    """Submit jobs until one is refused."""
    async with asyncio.timeout(60):
        while True:
            try:
                await submitted(store, **changes)
            except Refused as refused:
                return refused


async def counted(redis: Redis, owner: str = "ann") -> tuple[int, int]:
    """Tell how many bytes are counted for jobs of an owner that are not over, and for the others."""
    name = digest(owner)
    live, kept = await redis.zscore("darkroom:live", name), await redis.zscore("darkroom:kept", name)
    return int(live or 0), int(kept or 0)


async def used(redis: Redis) -> int:
    return int((await redis.info("memory"))["used_memory"])


async def test_an_owner_has_so_many_jobs_remembered_and_the_oldest_ended_goes_first(
    store: JobStore, redis: Redis
) -> None:
    store.keep = THREE
    waits = await submitted(store)
    ids = [await cancelled(store) for _ in range(5)]
    assert await known(store, waits, *ids) == [waits, *ids[2:]]
    last = await submitted(store)
    assert await known(store, waits, *ids, last) == [waits, *ids[3:], last]
    assert {job.id for job in await store.jobs_of("ann", offset=0, limit=9)} == {last, ids[4], ids[3], waits}


async def test_an_owner_has_so_many_bytes_remembered(store: JobStore, redis: Redis) -> None:
    keep = store.keep = KeepLimits(owner_bytes=5 * LARGE_BYTES)
    first = await cancelled(store, owner="bob")
    for _ in range(20):
        await cancelled(store, request=LARGE)
        assert sum(await counted(redis)) <= keep.owner_bytes
    ids = await redis.zrange(f"darkroom:owner:{digest('ann')}:jobs", 0, -1)
    assert 4 <= len(ids) == len(await known(store, *map(str, ids))) <= 8
    assert await known(store, first) == [first]


async def test_what_is_counted_is_about_what_redis_uses(store: JobStore, redis: Redis) -> None:
    await cancelled(store)
    before = await used(redis), sum(await counted(redis))
    for number in range(100):
        lease = await running(store, request=asked("x" * (1 + 100 * number)), idempotency_key=f"key-{number}")
        await store.add_image(lease, image(lease.job_id, 0))
        await store.end(lease, JobState.SUCCEEDED)
    await redis.delete("darkroom:bells", *[str(key) async for key in redis.scan_iter("darkroom:job:*:events")])
    took, is_counted = await used(redis) - before[0], sum(await counted(redis)) - before[1]
    assert 0.9 < is_counted / took < 1.3


async def test_the_one_with_most_is_forgotten_where_all_have_too_much(store: JobStore, redis: Redis) -> None:
    keep = store.keep = KeepLimits(all_bytes=10 * LARGE_BYTES)
    bobs = [await cancelled(store, owner="bob") for _ in range(5)]
    large = [await cancelled(store, request=LARGE) for _ in range(30)]
    eves = [await cancelled(store, owner=f"eve-{number}", request=LARGE) for number in range(4)]
    assert await known(store, *bobs) == bobs
    assert await known(store, *eves) == eves
    assert 0 < len(left := await known(store, *large)) < 11
    assert left == large[-len(left) :]
    assert (await redis.zscore("darkroom:kept", "*") or 0) <= keep.all_bytes


async def test_made_up_owners_fill_no_more_than_one_does(store: JobStore, redis: Redis) -> None:
    keep = store.keep = KeepLimits(owner_bytes=5 * LARGE_BYTES, all_bytes=20 * LARGE_BYTES)
    before = await used(redis)
    for number in range(100):
        await cancelled(store, owner=f"eve-{number}", request=LARGE)
        await cancelled(store, owner="bob")
    assert await used(redis) - before < keep.all_bytes + MIB
    assert len(await store.jobs_of("bob", offset=0, limit=200)) > 50


async def test_jobs_that_are_not_over_cannot_be_forgotten_so_further_ones_are_refused(
    store: JobStore, redis: Redis
) -> None:
    store.keep = KeepLimits(owner_bytes=5 * 135_000)
    ids = [await submitted(store, request=LARGE) for _ in range(5)]
    before = await redis.dbsize()
    refused = await refusal(store, request=LARGE, idempotency_key="key")
    assert (refused.code, refused.values) == ("too_many_job_bytes", {"max": 0, "retry_after_s": 10})
    assert (refused.kind.status, await redis.dbsize()) == (429, before)
    await submitted(store, owner="bob", request=LARGE)
    await store.cancel(ids[0])
    await submitted(store, request=LARGE)


async def test_there_is_room_for_one_more_owner_however_much_the_others_wait_for(store: JobStore) -> None:
    store.keep = KeepLimits(all_bytes=16 * LARGE_BYTES)
    for owner in ("eve-1", "eve-2", "eve-3"):
        refused = await until_refused(store, owner=owner, request=LARGE)
        assert (refused.code, refused.values) == ("queue_full", {"retry_after_s": 30})
    for _ in range(5):
        await submitted(store, owner="bob")


async def test_what_is_to_be_delivered_is_not_forgotten(store: JobStore, redis: Redis) -> None:
    store.keep = KeepLimits(jobs=1)
    hooked = await cancelled(store, webhook='{"host": "h"}')
    chat = ChatDelivery(outbox="box", route="r", hold_s=0)
    told = await cancelled(store, chat_delivery=chat)
    for _ in range(3):
        await cancelled(store)
    assert await known(store, hooked, told) == [hooked, told]
    outbox = WebhookOutbox(redis)
    [delivery], _ = await outbox.take(9, busy={}, most_to_host=9, most_of_owner=9)
    await outbox.settle(delivery, WebhookState.DELIVERED)
    await ChatOutbox(redis, "box").close(told)
    await sweep(store)
    for _ in range(3):
        await cancelled(store)
    assert await known(store, hooked, told) == []


async def test_what_is_not_delivered_counts_as_if_it_were_not_over(store: JobStore, redis: Redis) -> None:
    store.keep = KeepLimits(owner_bytes=3 * LARGE_BYTES)
    hooked = {"webhook": '{"host": "h"}', "request": LARGE}
    for _ in range(3):
        await cancelled(store, **hooked)
    live, kept = await counted(redis)
    assert (live > 2 * 128_000, kept) == (True, 0)
    assert (await until_refused(store, **hooked)).code == "too_many_job_bytes"


async def test_a_key_of_a_forgotten_job_makes_no_new_one(store: JobStore, redis: Redis) -> None:
    store.keep = KeepLimits(jobs=1)
    first = await cancelled(store, idempotency_key="key")
    await cancelled(store)
    assert await known(store, first) == []
    assert (await refusal(store, idempotency_key="key")).code == "idempotency_key_forgotten"
    other = asked("another")
    assert (await refusal(store, idempotency_key="key", request=other)).code == "idempotency_key_reused"
    [key] = [str(key) async for key in redis.scan_iter("darkroom:idem:*")]
    assert 0 < await redis.pttl(key) <= 3_600_000


async def test_keys_of_forgotten_jobs_are_forgotten_in_their_turn(store: JobStore, redis: Redis) -> None:
    store.keep = THREE
    for number in range(30):
        await cancelled(store, idempotency_key=f"key-{number}")
    line = await redis.zrange(f"darkroom:owner:{digest('ann')}:kept", 0, -1)
    keys = [key async for key in redis.scan_iter("darkroom:idem:*")]
    assert (len(line), len(keys)) == (3, 3 + 3)


async def test_marks_of_deleted_jobs_are_bounded_too(store: JobStore, redis: Redis) -> None:
    store.keep = THREE
    for number in range(10):
        lease = await running(store, idempotency_key=f"key-{number}")
        await store.delete(lease.job_id, owner="ann")
    assert len([key async for key in redis.scan_iter("darkroom:deleted:*")]) <= 3 + 1
    assert [key async for key in redis.scan_iter("darkroom:idem:*")] == []


async def test_a_forgotten_job_leaves_no_key_of_its_own(store: JobStore, redis: Redis) -> None:
    lease = await running(store)
    await store.add_image(lease, image(lease.job_id, 0))
    await store.end(lease, JobState.SUCCEEDED)
    assert len([key async for key in redis.scan_iter("*image:*")]) == 1
    assert len([key async for key in redis.scan_iter("*latest:*")]) == 1
    await cancelled(store, conversation="other")
    await bells(redis)
    store.keep = KeepLimits(jobs=1)
    await submitted(store, conversation="other")
    assert [key async for key in redis.scan_iter(f"*{lease.job_id}*")] == []
    assert [key async for key in redis.scan_iter("*image:*")] == []
    assert [key async for key in redis.scan_iter("*latest:*")] == []


async def test_a_submit_looks_at_fifty_at_most(store: JobStore) -> None:
    ids = [await cancelled(store) for _ in range(120)]
    store.keep = KeepLimits(jobs=10)
    await submitted(store)
    assert await known(store, *ids) == ids[50:]
    await submitted(store)
    assert await known(store, *ids) == ids[100:]


async def test_what_an_older_version_has_ended_counts_no_more(store: JobStore, redis: Redis) -> None:
    job_id = await submitted(store)
    name = digest("ann")
    await redis.delete(f"darkroom:job:{job_id}", f"darkroom:owner:{name}:active")  # as its `end` did, a week ago
    await redis.zrem("darkroom:queued", job_id)
    assert (await counted(redis))[0] > 0
    await sweep(store)
    assert await counted(redis) == (0, 0)


async def test_a_job_of_an_older_version_ends_well(store: JobStore, redis: Redis) -> None:
    job_id, other = await all_submitted(store, 2)
    live, _ = await counted(redis)
    await redis.hdel(f"darkroom:job:{job_id}", "bytes", "idempotency")
    await store.cancel(job_id)
    assert (await counted(redis))[0] == live
    await store.cancel(other)
    await store.delete(job_id, owner="ann")
    await store.delete(other, owner="ann")
    await sweep(store)
    assert await counted(redis) == (0, 0)


async def test_a_redis_that_tells_no_sizes_is_guessed_about(
    store: JobStore, redis: Redis, redis_server: RealRedis
) -> None:
    await cancelled(store, request=LARGE)
    _, measured = await counted(redis)
    await redis.acl_setuser(
        "blind", enabled=True, passwords=["+x"], keys=["*"], channels=["*"], categories=["+@all"], commands=["-memory"]
    )
    async with open_redis(f"unix://blind:x@{redis_server.socket}") as blind:
        await cancelled(JobStore(blind, Doorbell(), retention_s=3600), owner="bob", request=LARGE)
    await redis.acl_deluser("blind")
    _, guessed = await counted(redis, "bob")
    assert 0.8 < guessed / measured < 1.5


@pytest.fixture
def full(redis: Redis) -> Callable[[], Awaitable[None]]:
    """Makes Redis full from one moment on."""

    async def full() -> None:
        await redis.config_set("maxmemory", await used(redis))

    return full


async def test_a_full_redis_forgets_ended_jobs_rather_than_refuse_new_ones(
    store: JobStore, full: Callable[[], Awaitable[None]]
) -> None:
    ids = [await cancelled(store, request=LARGE, idempotency_key=f"key-{number}") for number in range(60)]
    waits = await submitted(store, owner="bob")
    await full()
    await store.check()
    for _ in range(20):
        await submitted(store, owner="bob")
    assert await known(store, waits, *ids) == [waits, *ids[50:]]


async def test_a_full_redis_of_jobs_that_are_not_over_refuses_new_ones_in_its_own_words(
    store: JobStore, full: Callable[[], Awaitable[None]]
) -> None:
    ids = [await submitted(store, request=LARGE) for _ in range(9)]
    await full()
    with pytest.raises(Unavailable) as refused:
        await submitted(store, owner="bob")
    assert refused.value.code == "queue_full"
    assert await known(store, *ids) == ids


async def test_one_owners_flood_fills_redis_for_nobody(store: JobStore, redis: Redis) -> None:
    """The defaults, with a Redis of a quarter of compose's size: they differ by factors only."""
    most = 64 * MIB
    store.keep = KeepLimits(jobs=5000, owner_bytes=most // 8, all_bytes=most // 2)
    await redis.config_set("maxmemory", most)
    bobs = []
    for number in range(700):  # without a bound it is full at 600
        await cancelled(store, owner=f"eve-{number % 3}", request=LARGE)
        if number % 10 == 0:
            await bells(redis)
            bobs.append(await cancelled(store, owner="bob"))
    assert await used(redis) < most * 3 // 4
    assert await known(store, *bobs) == bobs


async def test_bells_of_cancelled_jobs_are_bounded_and_jobs_that_are_ready_are_rung_again(
    store: JobStore, redis: Redis
) -> None:
    waits = await submitted(store, owner="bob", max_queued=20)
    for _ in range(1300):
        await cancelled(store, max_queued=20)
    assert await redis.llen("darkroom:bells") <= 1000 + 2 * 2
    while waits not in await bells(redis):  # workers take what is there, and the sweeper sees that a bell was lost
        await sweep(store, bell_s=0)
