"""What can be seen of jobs: pages, expectations, uploads, whose image it is; on fakeredis and on a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import chain
from typing import Any

import pytest
from redis.asyncio import Redis

from contract.errors.exceptions import Refused
from contract.jobs import page
from contract.jobs.job import JobState, ReferenceSnapshot
from contract.store import job_reader
from contract.store.job_reader import JobReader
from contract.store.keys import digest
from producer.client.eta import expected
from tests.support.factories.job_store import JobStore
from tests.support.factories.jobs import image
from tests.support.store.table import all_submitted, claimed, running, submitted, sweep
from worker.execution.leases import Leases

QUEUED, CANCELLED = frozenset({JobState.QUEUED}), frozenset({JobState.CANCELLED})


async def pages(store: JobStore, **how: object) -> list[list[str]]:
    """Read all pages; answer the ids on each."""
    wanted: dict[str, object] = {"before": None, "limit": 3, "state": None, "conversation": None}
    found, cursor = [], None
    while True:
        jobs, cursor = await store.page_of("ann", **{**wanted, **how, "before": cursor})  # type: ignore[arg-type]
        found.append([job.id for job in jobs])
        if cursor is None:
            return found


async def newest_first(redis: Redis) -> list[str]:
    """List the ids as the index has them: of one millisecond they are in no order of ours."""
    return [str(job_id) for job_id in await redis.zrevrange(f"darkroom:owner:{digest('ann')}:jobs", 0, -1)]


async def test_pages_show_each_job_once_newest_first(store: JobStore, redis: Redis) -> None:
    await all_submitted(store, 7)
    await all_submitted(store, 2, owner="bob")
    ids = await newest_first(redis)
    assert await pages(store) == [ids[:3], ids[3:6], ids[6:]]
    assert await pages(store, limit=7) == [ids]
    assert await pages(store, limit=100) == [ids]
    assert await store.page_of("nobody", before=None, limit=3, state=None, conversation=None) == ([], None)


async def test_jobs_of_one_millisecond_are_not_shown_twice(store: JobStore, redis: Redis) -> None:
    ids = await all_submitted(store, 9)
    await redis.zadd(f"darkroom:owner:{digest('ann')}:jobs", dict.fromkeys(ids, 1_800_000_000_000))
    assert list(chain(*await pages(store, limit=2))) == sorted(ids, reverse=True)


async def test_a_page_goes_on_behind_a_job_that_was_deleted_and_before_new_ones(store: JobStore, redis: Redis) -> None:
    await all_submitted(store, 5)
    ids = await newest_first(redis)
    _, cursor = await store.page_of("ann", before=None, limit=2, state=None, conversation=None)
    await store.delete(ids[1], owner="ann")
    await all_submitted(store, 2)
    jobs, cursor = await store.page_of("ann", before=cursor, limit=9, state=None, conversation=None)
    assert ([job.id for job in jobs], cursor) == (ids[2:], None)


async def test_pages_are_filtered_by_state_and_conversation(store: JobStore) -> None:
    here, there = await all_submitted(store, 4), await all_submitted(store, 3, conversation="there")
    nowhere = await submitted(store, conversation=None)
    for job_id in (here[0], there[0]):
        await store.cancel(job_id)

    async def shown(**how: object) -> set[str]:
        return set(chain(*await pages(store, **how)))

    assert await shown(state=CANCELLED) == {here[0], there[0]}
    assert await shown(state=QUEUED | CANCELLED) == {*here, *there, nowhere}
    assert await shown(conversation="there") == set(there)
    assert await shown(conversation="there", state=QUEUED) == set(there[1:])
    assert await shown(conversation="elsewhere") == set()


async def test_a_page_looks_at_so_many_jobs_and_then_says_where_to_go_on(
    store: JobStore, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_reader, "MOST_SCANNED", 4)
    monkeypatch.setattr(job_reader, "CHUNK", 3)
    await all_submitted(store, 10)
    ids = await newest_first(redis)
    await store.cancel(ids[0])
    await store.cancel(ids[9])
    assert await pages(store, state=CANCELLED) == [[ids[0]], [], [ids[9]]]
    assert list(chain(*await pages(store, limit=100))) == ids


async def test_a_page_has_few_of_large_jobs_but_one_at_least(
    store: JobStore, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await all_submitted(store, 5)
    ids = await newest_first(redis)
    for job_id in ids[1:3]:
        request = str(await redis.hget(f"darkroom:job:{job_id}", "request"))
        await redis.hset(f"darkroom:job:{job_id}", "request", request + " " * 2**20)
    assert await pages(store, limit=5) == [[ids[0]], [ids[1]], [ids[2]], ids[3:]]
    assert list(chain(*await pages(store, limit=5, state=QUEUED))) == ids
    monkeypatch.setattr(page, "PAGE_BYTES", 1)
    assert await pages(store, limit=5) == [[job_id] for job_id in ids]


async def test_large_jobs_that_cannot_be_read_make_no_page_longer(store: JobStore, redis: Redis) -> None:
    await all_submitted(store, 5)
    ids = await newest_first(redis)
    for job_id in ids[:4]:
        await redis.hset(f"darkroom:job:{job_id}", "request", "x" * 2**20)
    assert await pages(store, limit=5) == [[], [], [], [], [ids[4]]]


async def test_a_running_job_stands_nowhere(store: JobStore, redis: Redis) -> None:
    lease = await running(store)
    await redis.zadd("darkroom:queued", {lease.job_id: 1})  # as it would be if it were released between two looks
    [job] = await store.jobs_of("ann", offset=0, limit=1)
    assert (job.state, job.position) == (JobState.RUNNING, None)


async def test_jobs_that_do_not_fit_are_not_read(store: JobStore, redis: Redis) -> None:
    await all_submitted(store, 3)
    await store.cancel((await newest_first(redis))[1])
    read: list[int] = []

    class Counting(JobReader):
        async def _look(self, ids: Sequence[str]) -> list[Any]:
            read.append(len(ids))
            return await super()._look(ids)

    await Counting(redis).page_of("ann", before=None, limit=3, state=CANCELLED, conversation=None)
    assert read == [1]


async def test_forgotten_jobs_are_passed_by(store: JobStore, redis: Redis) -> None:
    await all_submitted(store, 4)
    ids = await newest_first(redis)
    await redis.delete(f"darkroom:job:{ids[1]}")
    assert list(chain(*await pages(store))) == [ids[0], *ids[2:]]


@pytest.mark.parametrize("cursor", ["", "x", "1", "1:", ":a", "-1:a", "1e5:a", "²:a", "inf:a", "1" * 16 + ":a"])
async def test_a_cursor_that_nobody_made_is_refused(store: JobStore, cursor: str) -> None:
    with pytest.raises(Refused) as refused:
        await store.page_of("ann", before=cursor, limit=3, state=None, conversation=None)
    assert refused.value.code == "cursor_invalid"


# Expectations


async def done(store: JobStore, redis: Redis, seconds: float, *, kind: str = "1k") -> None:
    """Let a job of a kind have taken its time."""
    lease = await running(store, kind=kind)
    await redis.hincrby(f"darkroom:job:{lease.job_id}", "started_at", int(-1000 * seconds))
    await store.end(lease, JobState.SUCCEEDED)


async def expectation(store: JobStore, job_id: str) -> tuple[int, int] | None:
    """Ask when a job of the kind "1k" may be done."""
    position = (await store.get(job_id)).position
    return None if position is None else expected((await store.pace(["1k"]))["1k"], position)


async def test_a_queued_job_knows_when_it_may_be_done(store: JobStore, redis: Redis) -> None:
    await redis.lpush("darkroom:durations:1k", 10_000, 20_000, 30_000, 40_000, 50_000)
    first, second, third = await all_submitted(store, 3)
    assert await expectation(store, first) is None  # no worker has told its slots
    await store.renew("w1", [], lease_s=15, slots=1)
    await store.renew("w2", [], lease_s=15, slots=1)
    assert await expectation(store, first) == (20, 40)
    assert await expectation(store, third) == (40, 80)
    lease = await claimed(store, first)
    assert await expectation(store, first) is None
    assert await expectation(store, third) == (40, 80)
    await redis.zadd("darkroom:workers", {"w2": 1})  # long not heard of
    assert await expectation(store, third) == (60, 120)
    await store.release(lease, wait_s=30)
    assert await expectation(store, first) is None  # it waits for its time
    await store.cancel(second)
    assert await expectation(store, second) is None


async def test_the_last_twenty_durations_of_a_kind_are_kept(store: JobStore, redis: Redis) -> None:
    for seconds in range(25):
        await done(store, redis, seconds)
    await done(store, redis, 5, kind="4k")
    await done(store, redis, 5, kind="")
    kept = [int(str(took)) // 1000 for took in await redis.lrange("darkroom:durations:1k", 0, -1)]
    assert kept == list(range(24, 4, -1))
    assert 29 * 86_400 < await redis.ttl("darkroom:durations:1k") <= 30 * 86_400
    assert {str(key) async for key in redis.scan_iter("darkroom:durations:*")} == {
        "darkroom:durations:1k",
        "darkroom:durations:4k",
    }


async def test_only_jobs_with_images_are_measured(store: JobStore, redis: Redis) -> None:
    for state in (JobState.FAILED, JobState.EXPIRED):
        lease = await running(store, kind="1k")
        await store.end(lease, state)
    await store.cancel(await submitted(store, kind="1k"))
    assert not await redis.exists("darkroom:durations:1k")


async def test_slots_are_forgotten_with_their_worker(store: JobStore, redis: Redis) -> None:
    await store.renew("w1", [], lease_s=15, slots=4)
    await store.renew("w1", [], lease_s=15)  # not told this time
    assert await redis.hgetall("darkroom:slots") == {"w1": "4"}
    await redis.zadd("darkroom:workers", {"w1": 1})
    await sweep(store, sweeper="w2", patience_s=60)
    assert not await redis.exists("darkroom:slots", "darkroom:workers")


async def test_a_worker_tells_its_slots_when_it_renews(store: JobStore, redis: Redis) -> None:
    keeping = asyncio.create_task(Leases(store, worker="w1", lease_s=15, slots=3).keep())
    async with asyncio.timeout(5):
        while await redis.hget("darkroom:slots", "w1") != "3":
            await asyncio.sleep(0.01)
    keeping.cancel()
    assert await store.workers(within_s=5) == ["w1"]


# Webhooks and lineage


@pytest.mark.parametrize("state", [JobState.SUCCEEDED, JobState.FAILED])
async def test_at_its_end_a_job_with_a_webhook_is_put_down(store: JobStore, redis: Redis, state: JobState) -> None:
    quiet, told = await submitted(store), await submitted(store, webhook="sealed")
    for job_id in (quiet, told):
        lease = await claimed(store, job_id)
        assert not await redis.exists("darkroom:webhooks")
        await store.end(lease, state)
    assert await redis.zrange("darkroom:webhooks", 0, -1) == [told]
    ended = (await store.get(told)).ended_at
    assert ended is not None
    assert await redis.zscore("darkroom:webhooks", told) == round(1000 * ended.timestamp())
    assert await redis.hget(f"darkroom:job:{told}", "webhook") == "sealed"


async def test_a_job_names_the_one_that_it_repeats(store: JobStore) -> None:
    first = await submitted(store)
    again = await submitted(store, retry_of=first)
    assert ((await store.get(first)).retry_of, (await store.get(again)).retry_of) == (None, first)


# Uploads and images


def snapshot(number: int) -> ReferenceSnapshot:
    return ReferenceSnapshot(source="upload.png", sha256=f"{number:064x}", mime="image/png", bytes=80)


async def test_uploads_are_kept_for_their_owner(store: JobStore, redis: Redis) -> None:
    await store.add_upload("ann", snapshot(1), most=2)
    assert await store.upload("ann", snapshot(1).sha256) == snapshot(1)
    assert await store.upload("bob", snapshot(1).sha256) is None
    assert await store.upload("ann", snapshot(2).sha256) is None
    for key in [key async for key in redis.scan_iter("*")]:
        assert 86_300_000 < await redis.pttl(key) <= 86_400_000


async def test_the_uploads_of_an_owner_have_so_many_bytes_together(store: JobStore, redis: Redis) -> None:
    await store.add_upload("ann", snapshot(1), most=9, most_bytes=160)
    await store.add_upload("ann", snapshot(2), most=9, most_bytes=160)
    with pytest.raises(Refused) as refused:
        await store.add_upload("ann", snapshot(3), most=9, most_bytes=160)
    assert refused.value.code == "uploads_too_large"
    assert 86_300 < int(str(refused.value.values["retry_after_s"])) <= 86_400
    await store.add_upload("ann", snapshot(2), most=9, most_bytes=80)  # again, though the cap is lower now
    await store.add_upload("bob", snapshot(3), most=9, most_bytes=160)
    await store.forget_upload("ann", snapshot(1).sha256)
    assert await store.upload("ann", snapshot(1).sha256) is None
    await store.add_upload("ann", snapshot(3), most=9, most_bytes=160)


async def test_an_owner_keeps_so_many_uploads(store: JobStore, redis: Redis) -> None:
    await store.add_upload("ann", snapshot(1), most=2)
    await store.add_upload("ann", snapshot(2), most=2)
    with pytest.raises(Refused, match="already have 2 uploaded images") as refused:
        await store.add_upload("ann", snapshot(3), most=2)
    assert refused.value.code == "too_many_uploads"
    assert await store.upload("ann", snapshot(3).sha256) is None
    await store.add_upload("ann", snapshot(2), most=1)  # again, though the cap is lower now
    await store.add_upload("bob", snapshot(3), most=2)
    await redis.zadd(f"darkroom:owner:{digest('ann')}:uploads", {snapshot(1).sha256: 1})  # its time is over
    await store.add_upload("ann", snapshot(3), most=2)
    kept = await redis.zrange(f"darkroom:owner:{digest('ann')}:uploads", 0, -1)
    assert set(kept) == {snapshot(2).sha256, snapshot(3).sha256}


async def uploaded(store: JobStore, *numbers: int, most: int = 9, **more: Any) -> None:
    for number in numbers:
        await store.add_upload("ann", snapshot(number), most=most, **more)


async def kept(store: JobStore, *numbers: int) -> list[int]:
    """List those of some uploads that are kept."""
    return [number for number in numbers if await store.upload("ann", snapshot(number).sha256)]


async def edited(store: JobStore, *numbers: int, **more: Any) -> str:
    """Submit a job that uses some uploads."""
    return await submitted(store, snapshots=tuple(map(snapshot, numbers)), **more)


async def test_uploads_that_only_ended_jobs_have_used_give_way_the_oldest_first(store: JobStore) -> None:
    for number in range(1, 8):  # one after another, as edits come
        await uploaded(store, number, most=3)
        await store.cancel(await edited(store, number))
    assert await kept(store, *range(1, 8)) == [5, 6, 7]


async def test_uploads_that_are_needed_do_not_give_way(store: JobStore) -> None:
    await uploaded(store, 1, 2, 3, most=3)
    first, second = await edited(store, 1, 2), await edited(store, 2)
    await store.cancel(first)
    await uploaded(store, 4, most=3)
    assert await kept(store, 1, 2, 3, 4) == [2, 3, 4]  # 2 is used by the other job, and 3 was not used yet
    with pytest.raises(Refused, match="already have 3 uploaded images"):
        await uploaded(store, 5, most=3)
    await store.cancel(second)
    await uploaded(store, 5, most=3)
    assert await kept(store, 2, 3, 4, 5) == [3, 4, 5]


async def test_an_upload_that_is_added_again_is_to_be_used_again(store: JobStore) -> None:
    await uploaded(store, 1, 2, most=2)
    unfinished = await edited(store, 1)
    await store.cancel(await edited(store, 2))
    await uploaded(store, 2, most=2)
    with pytest.raises(Refused):
        await uploaded(store, 3, most=2)
    await uploaded(store, 1, most=2)
    await store.cancel(await edited(store, 1))  # by one of two jobs
    with pytest.raises(Refused):
        await uploaded(store, 3, most=2)
    await store.cancel(unfinished)
    await uploaded(store, 3, most=2)
    assert await kept(store, 1, 2, 3) == [2, 3]


async def test_what_a_refused_request_has_brought_gives_way_later(store: JobStore, redis: Redis) -> None:
    line = f"darkroom:owner:{digest('ann')}:uploads"
    await uploaded(store, 1)
    await uploaded(store, 1, 2, most=2, is_sent_along=True)  # the first one was uploaded for itself
    with pytest.raises(Refused):
        await uploaded(store, 3, most=2)  # the request of the second one may be under way
    minutes = 11 * 60_000
    await redis.zincrby(line, -minutes, snapshot(1).sha256)  # as time would
    await redis.zincrby(line, -minutes, snapshot(2).sha256)
    await uploaded(store, 3, most=2)
    assert await kept(store, 1, 2, 3) == [1, 3]


async def test_a_job_that_is_forgotten_or_damaged_needs_no_upload(store: JobStore, redis: Redis) -> None:
    await uploaded(store, 1, 2, most=2)
    await store.delete(await edited(store, 1), owner="ann")
    await uploaded(store, 3, most=2)
    job_id = await edited(store, 2)
    await redis.delete(f"darkroom:job:{job_id}")
    await redis.set(f"darkroom:job:{job_id}", "damaged")
    await uploaded(store, 4, most=2)
    assert await kept(store, 1, 2, 3, 4) == [3, 4]


async def test_the_uploads_of_a_chat_are_used_by_the_jobs_of_all_in_it(store: JobStore) -> None:
    await uploaded(store, 1, most=1)
    await store.cancel(await edited(store, 1, owner="bob", gallery="ann"))
    await uploaded(store, 2, most=1)
    assert await kept(store, 1, 2) == [2]


async def test_bytes_of_uploads_that_gave_way_count_for_the_day(store: JobStore, redis: Redis) -> None:
    for number in (1, 2, 3):
        await uploaded(store, number, most=1, most_bytes=3 * 80)
        await store.cancel(await edited(store, number))
    with pytest.raises(Refused) as refused:
        await uploaded(store, 4, most=1, most_bytes=3 * 80)
    assert refused.value.code == "uploads_too_large"
    assert 0 < int(str(refused.value.values["retry_after_s"])) <= 86_400
    assert await kept(store, 3, 4) == [3]
    [gone] = [key async for key in redis.scan_iter("*:uploads_gone:*")]
    assert (await redis.get(gone), 0 < await redis.pttl(gone) <= 86_400_000) == ("160", True)
    await redis.delete(gone)  # as the next day does
    await uploaded(store, 4, most=1, most_bytes=3 * 80)


async def test_used_uploads_give_way_where_all_owners_have_too_many(store: JobStore, redis: Redis) -> None:
    await uploaded(store, *range(10), most=99)
    await redis.zadd("darkroom:uploads", {f"x {number}": 10**14 for number in range(20_000 - 10)})
    with pytest.raises(Refused):
        await uploaded(store, 10, most=99)
    await store.cancel(await edited(store, 3))
    await uploaded(store, 10, most=99)
    assert await kept(store, 0, 3, 10) == [0, 10]
    assert await redis.zcard("darkroom:uploads") == 20_000


async def test_many_jobs_of_one_upload_are_not_all_remembered(store: JobStore, redis: Redis) -> None:
    await uploaded(store, 1, most=1)
    jobs = [await edited(store, 1) for _ in range(30)]
    text = str(await redis.get(f"darkroom:owner:{digest('ann')}:upload:{snapshot(1).sha256}"))
    assert [job_id in text for job_id in jobs] == [False] * 10 + [True] * 20
    assert await redis.pttl(f"darkroom:owner:{digest('ann')}:upload:{snapshot(1).sha256}") > 86_300_000


async def test_uploads_of_all_owners_have_a_bound_and_the_oldest_gives_way(store: JobStore, redis: Redis) -> None:
    for number in range(10):
        await store.add_upload("ann", snapshot(number), most=99)
    await store.add_upload("bob", snapshot(99), most=99)
    first = f"{digest('ann')} {snapshot(0).sha256}"
    await redis.zadd("darkroom:uploads", {first: 10**13} | {f"x {number}": 10**14 for number in range(20_000 - 11)})
    with pytest.raises(Refused, match="uploaded images") as refused:
        await store.add_upload("ann", snapshot(11), most=99)
    assert refused.value.code == "too_many_uploads"
    await redis.zadd("darkroom:uploads", {first: (await redis.time())[0] * 1000 + 60_000})
    await store.add_upload("bob", snapshot(11), most=99)
    assert await redis.zcard("darkroom:uploads") == 20_000
    assert await store.upload("ann", snapshot(0).sha256) is None
    assert await store.upload("ann", snapshot(1).sha256) is not None


async def test_an_image_is_its_owners(store: JobStore) -> None:
    job_id = await submitted(store)
    lease = await claimed(store, job_id)
    await store.add_image(lease, image(job_id, 0))
    known = image(job_id, 0).id
    assert [await store.image_owner_is(known, "ann"), await store.image_owner_is(known, "bob")] == [True, False]
    assert not await store.image_owner_is("img_0123456789ab", "ann")
