"""Conformance of the job table, on fakeredis and on a real Redis: each move, and each move refused."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from contract.errors.catalogue.job_failure import DEADLINE_PASSED
from contract.errors.catalogue.provider import NO_IMAGE
from contract.errors.exceptions import DarkroomError, Refused, Unavailable
from contract.jobs.job import MOVES, TERMINAL, JobState, Outcome, ReferenceSnapshot
from contract.jobs.request import JobRequest
from contract.redis.client import open_redis
from contract.store.doorbell import Doorbell
from contract.store.job_hash import read_attempts
from contract.store.lease import CallRefused, Lease, LeaseLost
from tests.support.factories.job_store import JobStore
from tests.support.factories.jobs import attempt, image, new_job
from tests.support.stack.redis_server import RealRedis
from tests.support.store.table import bells, claimed, submitted, sweep
from worker.execution.attempt_log import AttemptLog
from worker.policy.ladder import Rung

LEASE_S = 15.0


async def fields_of(redis: Redis, job_id: str) -> dict[str, str]:
    return {str(name): str(value) for name, value in (await redis.hgetall(f"darkroom:job:{job_id}")).items()}


async def let_lease_end(redis: Redis, job_id: str) -> None:
    await redis.zadd("darkroom:running", {job_id: 1})


async def test_a_submitted_job_is_queued_and_its_bell_rung(store: JobStore, redis: Redis) -> None:
    job_id = await submitted(store)
    job = await store.get(job_id)
    assert (job.state, job.position, job.owner, job.conversation) == (JobState.QUEUED, 0, "ann", "chat")
    assert job.progress.message == "Queued, next in line."
    assert await bells(redis) == [job_id]
    assert [event.type for event in (await store.news(job_id))[1]] == ["queued"]


async def test_submitting_the_same_id_again_changes_nothing(store: JobStore, redis: Redis) -> None:
    job = new_job()
    assert await store.submit(job) == await store.submit(job) == (job.id, False)
    assert await bells(redis) == [job.id]


async def test_an_idempotency_key_answers_the_first_job(store: JobStore) -> None:
    first, replayed = await store.submit(new_job(idempotency_key="k"))
    assert not replayed
    assert await store.submit(new_job(idempotency_key="k")) == (first, True)
    other, replayed = await store.submit(new_job(idempotency_key="k", owner="bob"))
    assert other != first
    assert not replayed
    with pytest.raises(Refused, match="already used"):
        await store.submit(new_job(idempotency_key="k", conversation="elsewhere"))


async def test_fifty_submits_with_one_key_make_one_job(store: JobStore) -> None:
    answers = await asyncio.gather(*(store.submit(new_job(idempotency_key="k")) for _ in range(50)))
    assert len({job_id for job_id, _ in answers}) == 1
    assert sum(not replayed for _, replayed in answers) == 1


async def test_caps_refuse_and_store_nothing(store: JobStore, redis: Redis) -> None:
    await submitted(store)
    before = await redis.dbsize()
    with pytest.raises(Refused) as refused:
        await submitted(store, max_active=1)
    assert refused.value.code == "too_many_jobs"
    with pytest.raises(Refused) as refused:
        await submitted(store, owner="bob", max_queued=1)
    assert refused.value.code == "queue_full"
    assert await redis.dbsize() == before


async def test_an_owner_with_many_jobs_waits_behind_one_with_few(store: JobStore, redis: Redis) -> None:
    anns = [await submitted(store) for _ in range(12)]
    bobs = await submitted(store, owner="bob")
    assert (await store.get(bobs)).position == 1  # only Ann's first is before it
    assert await bells(redis) == [anns[0], bobs, *anns[1:10]]  # her others are parked


async def test_a_foreign_job_does_not_exist(store: JobStore) -> None:
    job_id = await submitted(store)
    for call in (store.get(job_id, owner="bob"), store.get(str(uuid.uuid4())), store.cancel(job_id, owner="bob")):
        with pytest.raises(Refused) as refused:
            await call
        assert refused.value.code == "job_not_found"
    assert (await store.get(job_id)).state is JobState.QUEUED


async def test_only_one_claim_succeeds(store: JobStore) -> None:
    job_id = await submitted(store)
    leases = await asyncio.gather(*(store.claim(job_id, worker=f"w{n}", lease_s=LEASE_S) for n in range(10)))
    assert sum(lease is not None for lease in leases) == 1
    job = await store.get(job_id)
    assert job.state is JobState.RUNNING
    assert job.started_at is not None
    assert job.position is None


async def test_each_claim_has_a_higher_fence(store: JobStore) -> None:
    job_id = await submitted(store)
    first = await claimed(store, job_id)
    await store.release(first)
    second = await claimed(store, job_id)
    assert second.fence == first.fence + 1
    assert second.deadline_ms == first.deadline_ms  # the time to run does not begin anew


async def test_an_old_fence_writes_nothing(store: JobStore, redis: Redis) -> None:
    job_id = await submitted(store)
    zombie = await claimed(store, job_id)
    await let_lease_end(redis, job_id)
    await sweep(store)
    await claimed(store, job_id, worker="w2")
    before = await redis.hgetall(f"darkroom:job:{job_id}")
    for write in (
        store.begin_attempt(zombie, 0, attempt(), max_calls=9),
        store.end_attempt(zombie, 0, attempt(outcome=Outcome.DELIVERED)),
        store.add_image(zombie, image(job_id, 0)),
        store.end(zombie, JobState.SUCCEEDED),
        store.release(zombie),
    ):
        with pytest.raises(LeaseLost):
            await write
    assert await store.renew("w1", [zombie], lease_s=LEASE_S) == [job_id]
    assert await redis.hgetall(f"darkroom:job:{job_id}") == before


async def test_renewing_prolongs_and_gives_a_sign_of_life(store: JobStore, redis: Redis) -> None:
    lease = await claimed(store, await submitted(store), lease_s=1)
    before = await redis.zscore("darkroom:running", lease.job_id)
    assert await store.renew("w1", [lease], lease_s=30) == []
    after = await redis.zscore("darkroom:running", lease.job_id)
    assert before is not None
    assert after is not None
    assert after >= before + 28_000
    assert await store.workers(within_s=5) == ["w1"]


async def test_a_late_renewal_before_any_sweep_keeps_the_job(store: JobStore, redis: Redis) -> None:
    lease = await claimed(store, await submitted(store))
    await let_lease_end(redis, lease.job_id)
    assert await store.renew("w1", [lease], lease_s=LEASE_S) == []
    await sweep(store)
    assert (await store.get(lease.job_id)).state is JobState.RUNNING


async def test_calls_are_counted_before_they_are_made(store: JobStore) -> None:
    lease = await claimed(store, await submitted(store))
    await store.begin_attempt(lease, 0, attempt(), max_calls=1)
    await store.begin_attempt(lease, 0, attempt(), max_calls=1)  # the same one, its answer was lost
    await store.begin_attempt(lease, 1, attempt(index=1), max_calls=1)
    with pytest.raises(CallRefused, match="call_budget_spent"):
        await store.begin_attempt(lease, 2, attempt(), max_calls=1)
    ended = attempt(outcome=Outcome.TIMEOUT, error="provider_timeout", seconds=1.5, cost_usd=0.04)
    await store.end_attempt(lease, 0, ended, event="fallback", text="2K timed out after 2 s, trying 1K")
    job = await store.get(lease.job_id)
    assert job.attempts == (ended, attempt(index=1))
    assert job.cost_usd == 0.04
    assert job.progress.message == "0 of 2 images made; 2K timed out after 2 s, trying 1K"
    assert [event.type for event in (await store.news(job.id))[1]][2:] == ["attempt", "attempt", "fallback"]


async def test_the_calls_of_each_image_are_counted_for_themselves(store: JobStore) -> None:
    lease = await claimed(store, await submitted(store))
    for number in range(2):
        await store.begin_attempt(lease, number, attempt(index=1), max_calls=2)
    with pytest.raises(CallRefused, match="call_budget_spent"):
        await store.begin_attempt(lease, 2, attempt(index=1), max_calls=2)
    await store.begin_attempt(lease, 2, attempt(index=0), max_calls=2)
    await let_lease_end(store.redis, lease.job_id)
    await sweep(store)
    again = await claimed(store, lease.job_id)
    with pytest.raises(CallRefused, match="call_budget_spent"):  # a crash gives none back
        await store.begin_attempt(again, 3, attempt(index=1), max_calls=2)
    await store.begin_attempt(again, 3, attempt(index=0), max_calls=2)


async def test_no_call_after_the_deadline(store: JobStore) -> None:
    lease = await claimed(store, await submitted(store, run_time_s=0))
    with pytest.raises(CallRefused, match="deadline_passed"):
        await store.begin_attempt(lease, 0, attempt(), max_calls=9)


async def test_an_image_is_added_once_and_becomes_the_latest(store: JobStore) -> None:
    lease = await claimed(store, await submitted(store))
    first = image(lease.job_id, 0)
    await store.add_image(lease, first)
    await store.add_image(lease, first)
    job = await store.get(lease.job_id)
    assert job.images == (first,)
    assert job.progress.done == 1
    assert await store.latest_image("ann", "chat") == first.path
    assert await store.latest_image("ann", "other") is None
    assert await store.latest_image("bob", "chat") is None
    assert await store.is_foreign(first.id, "bob")
    assert not await store.is_foreign(first.id, "ann")


@pytest.mark.parametrize("state", sorted(TERMINAL))
async def test_nothing_leaves_a_terminal_state(store: JobStore, redis: Redis, state: JobState) -> None:
    job_id = await submitted(store)
    lease = await claimed(store, job_id)
    if state is JobState.CANCELLED:
        assert await store.cancel(job_id, owner="ann") is JobState.RUNNING
    else:
        assert await store.end(lease, state, DarkroomError(DEADLINE_PASSED)) is state
    assert MOVES[state] == frozenset()
    assert await store.cancel(job_id) is state
    assert await store.claim(job_id, worker="w2", lease_s=LEASE_S) is None
    with pytest.raises(LeaseLost):
        await store.end(lease, JobState.SUCCEEDED)
    with pytest.raises(LeaseLost):
        await store.release(lease)
    await sweep(store)
    job = await store.get(job_id)
    assert job.state is state
    assert job.ended_at is not None
    told = [event.type for event in (await store.news(job_id))[1]]
    assert [kind for kind in told if kind in TERMINAL] == [state]
    assert 0 < await redis.pttl(f"darkroom:job:{job_id}") <= 3_600_000
    for index in ("queued", "waiting", "running", "deadlines"):
        assert await redis.zscore(f"darkroom:{index}", job_id) is None


async def test_a_failure_with_images_is_a_partial_success(store: JobStore) -> None:
    lease = await claimed(store, await submitted(store))
    await store.add_image(lease, image(lease.job_id, 1))
    assert await store.end(lease, JobState.FAILED, DarkroomError(NO_IMAGE)) is JobState.SUCCEEDED
    job = await store.get(lease.job_id)
    assert (job.progress.done, job.progress.count) == (1, 2)
    assert job.error is not None
    assert job.error.code == "no_image"


async def test_a_released_job_waits_its_time(store: JobStore, redis: Redis) -> None:
    job_id = await submitted(store)
    await bells(redis)
    await store.release(await claimed(store, job_id), wait_s=30, note="Waiting 30 s, as the provider asks.")
    job = await store.get(job_id)
    assert job.state is JobState.QUEUED
    assert job.position is None
    assert job.progress.message == "Waiting 30 s, as the provider asks."
    assert await bells(redis) == []
    assert await store.claim(job_id, worker="w1", lease_s=LEASE_S) is None
    await sweep(store)
    assert await bells(redis) == []
    await redis.zadd("darkroom:waiting", {job_id: 1})  # its time has come
    await redis.hset(f"darkroom:job:{job_id}", "not_before", "1")
    assert await sweep(store) == 1
    assert await bells(redis) == [job_id]
    await claimed(store, job_id)


async def test_a_released_job_without_a_wait_is_rung_at_once(store: JobStore, redis: Redis) -> None:
    job_id = await submitted(store)
    await bells(redis)
    await store.release(await claimed(store, job_id))
    assert await bells(redis) == [job_id]


async def test_cancelling_a_queued_job(store: JobStore) -> None:
    job_id = await submitted(store)
    assert await store.cancel(job_id, owner="ann") is JobState.QUEUED
    assert (await store.get(job_id)).state is JobState.CANCELLED
    assert await store.claim(job_id, worker="w1", lease_s=LEASE_S) is None


async def test_a_cancelled_job_is_lost_at_the_next_renewal(store: JobStore) -> None:
    lease = await claimed(store, await submitted(store))
    await store.cancel(lease.job_id)
    assert await store.renew("w1", [lease], lease_s=LEASE_S) == [lease.job_id]


async def test_the_sweeper_brings_a_dead_workers_job_back(store: JobStore, redis: Redis) -> None:
    job_id = await submitted(store)
    await bells(redis)
    await claimed(store, job_id)
    await let_lease_end(redis, job_id)
    assert await sweep(store, patience_s=60) == 0
    assert (await store.get(job_id)).state is JobState.RUNNING
    assert await sweep(store) == 1
    assert await bells(redis) == [job_id]
    await claimed(store, job_id, worker="w2")


async def test_on_its_last_chance_a_job_runs_beside_no_other_such_job(store: JobStore, redis: Redis) -> None:
    poison, innocent = [await submitted(store) for _ in range(2)]
    for _ in range(2):
        for job_id in (poison, innocent):
            await claimed(store, job_id)
            await let_lease_end(redis, job_id)
        await sweep(store)
    await claimed(store, poison)
    assert await store.claim(innocent, worker="w1", lease_s=LEASE_S) is None
    assert await redis.zrange("darkroom:waiting", 0, -1) == [innocent]
    await let_lease_end(redis, poison)  # it has killed w1
    await redis.zadd("darkroom:waiting", {innocent: 1})
    await redis.hset(f"darkroom:job:{innocent}", "not_before", 1)
    assert await sweep(store) == 1
    lease = await claimed(store, innocent, worker="w2")
    assert await store.end(lease, JobState.SUCCEEDED) is JobState.SUCCEEDED
    assert (await store.get(poison)).state is JobState.FAILED


async def test_the_third_crash_ends_a_job(store: JobStore, redis: Redis) -> None:
    job_id = await submitted(store)
    for _ in range(3):
        await claimed(store, job_id)
        await let_lease_end(redis, job_id)
        await sweep(store)
    job = await store.get(job_id)
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert job.error.code == "worker_crashed"
    assert job.error.detail.startswith("Three workers crashed")


async def test_planned_returns_are_no_crashes(store: JobStore) -> None:
    job_id = await submitted(store)
    for _ in range(5):
        await store.release(await claimed(store, job_id))
    assert (await store.get(job_id)).state is JobState.QUEUED


async def test_a_job_that_never_starts_expires(store: JobStore, redis: Redis) -> None:
    swept, rung = await submitted(store, queue_time_s=0), await submitted(store, queue_time_s=0)
    assert await store.claim(rung, worker="w1", lease_s=LEASE_S) is None
    await sweep(store)
    for job_id in (swept, rung):
        job = await store.get(job_id)
        assert job.state is JobState.EXPIRED
        assert job.error is not None
        assert job.error.code == "deadline_passed"


async def test_a_crashed_job_after_its_deadline_expires(store: JobStore, redis: Redis) -> None:
    job_id = await submitted(store, run_time_s=0)
    await claimed(store, job_id)
    await let_lease_end(redis, job_id)
    await sweep(store)
    assert (await store.get(job_id)).state is JobState.EXPIRED


async def test_a_lost_bell_is_rung_again_and_a_waiting_one_is_not(store: JobStore, redis: Redis) -> None:
    lost = await submitted(store)
    assert await sweep(store, bell_s=0) == 0  # it is still in its list
    await bells(redis)
    assert await sweep(store, bell_s=60) == 0  # it may be on its way to a worker
    assert await sweep(store, bell_s=0) == 1
    assert await bells(redis) == [lost]


async def test_a_bell_overtaken_by_younger_ones_is_lost(store: JobStore, redis: Redis) -> None:
    lost = await submitted(store)
    await bells(redis)
    await asyncio.sleep(0.005)  # bells of one millisecond have no order
    younger, waiting = await submitted(store, owner="bob"), await submitted(store, owner="cat")
    await claimed(store, younger)
    assert await sweep(store, bell_s=0) >= 1
    assert lost in await bells(redis)
    assert (await store.get(waiting)).state is JobState.QUEUED


async def test_one_sweeper_at_a_time(store: JobStore, redis: Redis) -> None:
    await submitted(store)
    await bells(redis)
    assert await sweep(store, sweeper="w1", bell_s=0) == 1
    await bells(redis)
    assert await sweep(store, sweeper="w2", bell_s=0) == 0
    await redis.delete("darkroom:lock:sweeper")  # its time is over
    await asyncio.sleep(0.005)
    assert await sweep(store, sweeper="w2", bell_s=0) == 1


async def test_a_forgotten_script_is_loaded_again(store: JobStore, redis: Redis) -> None:
    await submitted(store)
    await redis.script_flush()
    await submitted(store)
    assert len(await store.jobs_of("ann", offset=0, limit=9)) == 2


async def test_prompts_stand_in_the_job_hash_only(store: JobStore, redis: Redis) -> None:
    request = JobRequest(prompt="canary-prompt", aspect_ratio="1:1", image_size="1K")
    job_id = await submitted(store, request=request)
    lease = await claimed(store, job_id)
    await store.begin_attempt(lease, 0, attempt(), max_calls=9)
    await store.end(lease, JobState.FAILED, DarkroomError(NO_IMAGE))
    read: dict[str, Callable[[str], Awaitable[object]]] = {
        "hash": lambda key: redis.hgetall(key),
        "list": lambda key: redis.lrange(key, 0, -1),
        "stream": lambda key: redis.xrange(key),
        "string": lambda key: redis.get(key),
        "zset": lambda key: redis.zrange(key, 0, -1),
    }
    keys = {str(key) for key in await redis.keys("*")}
    assert len(keys) >= 5
    for key in keys - {f"darkroom:job:{job_id}"}:
        assert "canary-prompt" not in f"{key} {await read[str(await redis.type(key))](key)}"


async def test_a_released_job_is_served_before_a_backlog(store: JobStore, redis: Redis) -> None:
    first = await submitted(store)
    await bells(redis)
    lease = await claimed(store, first)
    backlog = [await submitted(store, owner=f"owner-{number}") for number in range(3)]
    await store.release(lease)
    assert await bells(redis) == [first, *backlog]


async def test_a_lost_workers_job_is_rung_before_a_backlog(store: JobStore, redis: Redis) -> None:
    first = await submitted(store)
    await bells(redis)
    await claimed(store, first)
    backlog = [await submitted(store, owner=f"owner-{number}") for number in range(3)]
    await let_lease_end(redis, first)
    assert await sweep(store) == 1
    assert await bells(redis) == [first, *backlog]


async def test_a_job_that_starts_again_does_not_make_waiting_bells_look_lost(store: JobStore, redis: Redis) -> None:
    first = await submitted(store)
    await bells(redis)
    lease = await claimed(store, first)
    await asyncio.sleep(0.005)  # bells of one millisecond have no order
    backlog = [await submitted(store, owner=f"owner-{number}") for number in range(3)]
    await asyncio.sleep(0.005)
    await store.release(lease)
    assert await redis.rpop("darkroom:bells") is not None  # its own bell: the newest one, and served first
    await claimed(store, first)
    assert await sweep(store, bell_s=0) == 0
    assert await bells(redis) == backlog


async def test_a_claim_whose_answer_was_lost_is_answered_again(store: JobStore) -> None:
    job_id = await submitted(store)
    first = await store._run("jobs/claim", job_id, "w1", 15_000, "nonce")
    again = await store._run("jobs/claim", job_id, "w1", 15_000, "nonce")
    assert again[0] == first[0] == 1  # the fence
    assert again[2] == first[2]  # the deadline
    assert dict(zip(again[3][::2], again[3][1::2], strict=True)) == dict(
        zip(first[3][::2], first[3][1::2], strict=True)
    )
    assert await store._run("jobs/claim", job_id, "w2", 15_000, "another") == []
    assert [event.type for event in (await store.news(job_id))[1]] == ["queued", "running"]


async def test_a_claim_is_not_answered_again_once_its_job_was_given_back(store: JobStore, redis: Redis) -> None:
    job_id = await submitted(store)
    fence, *_ = await store._run("jobs/claim", job_id, "w1", 15_000, "nonce")
    await let_lease_end(redis, job_id)
    await sweep(store)
    await claimed(store, job_id, worker="w2")
    assert await store._run("jobs/claim", job_id, "w1", 15_000, "nonce") == []
    assert (await store.get(job_id)).state is JobState.RUNNING
    assert await redis.hget(f"darkroom:job:{job_id}", "fence") == str(fence + 1)


async def test_the_sweeper_drops_ids_without_a_job_and_goes_on(store: JobStore, redis: Redis) -> None:
    crashed = await submitted(store)
    await claimed(store, crashed)
    await let_lease_end(redis, crashed)
    expired = await submitted(store, queue_time_s=0)
    woken = await submitted(store)
    await store.release(await claimed(store, woken), wait_s=30)
    await redis.zadd("darkroom:waiting", {woken: 1})
    silent = await submitted(store)
    await bells(redis)
    indexes = [f"darkroom:{name}" for name in ("queued", "waiting", "running", "deadlines")]
    for index in indexes:
        await redis.zadd(index, {"a-ghost": 0})  # before all others
    await asyncio.sleep(0.005)
    assert await sweep(store, bell_s=0) == 3
    assert set(await bells(redis)) == {crashed, woken, silent}
    assert (await store.get(expired)).state is JobState.EXPIRED
    assert [await redis.zscore(index, "a-ghost") for index in indexes] == [None] * 4
    assert not await redis.exists("darkroom:job:a-ghost")


async def test_a_gap_in_the_attempts_never_makes_a_call_reuse_a_field(store: JobStore, redis: Redis) -> None:
    job_id = await submitted(store)
    lease = await claimed(store, job_id)
    for number in (0, 2):
        await store.begin_attempt(lease, number, attempt(outcome=Outcome.LOST), max_calls=9)
    known = read_attempts(await fields_of(redis, job_id))
    assert list(known) == [0, 2]
    rung = Rung(provider="openrouter", model="m", image_size="1K", quality=None, timeout_s=9)
    attempt_log = AttemptLog(lease, store, known, max_calls=9)
    assert [await attempt_log.begin(0, 0, rung), await attempt_log.begin(1, 0, rung)] == [3, 4]
    fields = await fields_of(redis, job_id)
    assert fields["calls"] == "4"
    assert {number: call.outcome for number, call in read_attempts(fields).items()} == {
        **dict.fromkeys((0, 2), Outcome.LOST),
        **dict.fromkeys((3, 4), Outcome.RUNNING),
    }


async def test_attempts_are_read_in_the_order_of_their_numbers(store: JobStore, redis: Redis) -> None:
    lease = await claimed(store, await submitted(store))
    for number in (10, 9, 2):
        await store.begin_attempt(lease, number, attempt(index=number), max_calls=9)
    assert [call.index for call in (await store.get(lease.job_id)).attempts] == [2, 9, 10]


async def test_a_call_that_is_under_way_when_its_job_ends_brought_nothing(store: JobStore) -> None:
    async def outcomes(ending: Callable[[Lease], Awaitable[object]]) -> list[Outcome]:
        lease = await claimed(store, await submitted(store))
        await store.begin_attempt(lease, 0, attempt(outcome=Outcome.TIMEOUT), max_calls=9)
        await store.begin_attempt(lease, 1, attempt(), max_calls=9)
        assert (await store.get(lease.job_id)).attempts[1].outcome is Outcome.RUNNING
        await ending(lease)
        return [call.outcome for call in (await store.get(lease.job_id)).attempts]

    assert await outcomes(lambda lease: store.cancel(lease.job_id)) == [Outcome.TIMEOUT, Outcome.CANCELLED]
    assert await outcomes(lambda lease: store.end(lease, JobState.FAILED)) == [Outcome.TIMEOUT, Outcome.LOST]
    assert await outcomes(lambda lease: store.release(lease)) == [Outcome.TIMEOUT, Outcome.RUNNING]


@pytest.mark.real_redis
async def test_what_was_accepted_is_brought_to_its_end_while_redis_is_full(redis_server: RealRedis) -> None:
    async with open_redis(redis_server.url) as redis:
        await redis.flushall()
        store = JobStore(redis, Doorbell(), retention_s=3600)
        ids = [await submitted(store) for _ in range(5)]
        crashed, expired = await submitted(store), await submitted(store, queue_time_s=0)
        deleted = await submitted(store)
        upload = ReferenceSnapshot(source="fox.png", sha256="0" * 64, mime="image/png", bytes=80)
        await claimed(store, crashed)
        await let_lease_end(redis, crashed)
        await redis.config_set("maxmemory-policy", "noeviction")
        await redis.config_set("maxmemory", 1)
        try:
            with pytest.raises(Unavailable):
                await submitted(store)
            first, second, third, *_ = [await claimed(store, job_id) for job_id in ids]
            await store.begin_attempt(first, 0, attempt(), max_calls=9)
            await store.end_attempt(first, 0, attempt(outcome=Outcome.DELIVERED), event="retry", text="again")
            await store.add_image(first, image(first.job_id, 0))
            assert await store.renew("w1", [first, second], lease_s=LEASE_S) == []
            await store.end(first, JobState.SUCCEEDED)
            await store.release(second)
            await store.release(third, wait_s=30)
            assert await store.cancel(ids[3]) is JobState.RUNNING
            assert (await store.delete(deleted, owner="ann")).state is JobState.QUEUED
            with pytest.raises(Unavailable):
                await store.add_upload("ann", upload, most=9)
            assert await sweep(store) == 1
            with pytest.raises(Unavailable):  # it was full to the end
                await submitted(store)
        finally:
            await redis.config_set("maxmemory", 0)
        states = [(await store.get(job_id)).state for job_id in (*ids, crashed, expired)]
        assert states == ["succeeded", "queued", "queued", "cancelled", "running", "queued", "expired"]
        assert (await store.get(ids[0])).progress.done == 1
        assert len(await store.jobs_of("ann", offset=0, limit=99)) == 7  # nothing is left of those that were refused
        assert await submitted(store)
