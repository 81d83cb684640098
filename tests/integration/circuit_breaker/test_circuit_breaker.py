"""Conformance of the circuit breakers, on fakeredis and on a real Redis: limit, probes, and which job is woken when."""

from __future__ import annotations

import asyncio
import itertools
import random
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from redis.asyncio import Redis

from contract.jobs.job import JobState
from contract.redis.client import open_redis
from contract.store.doorbell import Doorbell
from contract.store.keys import digest
from contract.store.lease import Lease, LeaseLost
from tests.support.factories.job_store import JobStore
from tests.support.stack.redis_server import RealRedis
from tests.support.store.table import bells, claimed, running, sweep
from worker.policy.circuit_breaker import GRACE_S, Blocked, CallOutcome, CircuitBreaker, CircuitBreakers

OPEN_S = 10.0
MOST_S = 60.0
ANSWERS = (CallOutcome.GOOD, CallOutcome.NEUTRAL, CallOutcome.THROTTLED)
NUMBERS = itertools.count()


def breaker_to(
    store: JobStore, *, limit: int | None = None, key: str = "canary-key", open_s: float = OPEN_S, model: str = "a/b"
) -> CircuitBreaker:
    return CircuitBreakers(store, limit=limit, open_s=open_s).to("openrouter", key, model)


@pytest.fixture
def breaker(store: JobStore) -> CircuitBreaker:
    """A circuit breaker without a limit."""
    return breaker_to(store)


@pytest.fixture
async def lease(store: JobStore) -> Lease:
    """A job that makes calls."""
    return await running(store)


async def enter(breaker: CircuitBreaker, lease: Lease, number: int = 0) -> Blocked | None:
    return await breaker.enter(lease, number, most_s=MOST_S)


async def call(breaker: CircuitBreaker, lease: Lease, *outcomes: CallOutcome, code: str = "provider_down") -> None:
    """Make calls one after another; each must be let through."""
    for outcome in outcomes:
        number = next(NUMBERS)
        assert await enter(breaker, lease, number) is None
        await breaker.leave(lease, number, outcome, code=code)


async def refused(breaker: CircuitBreaker, lease: Lease, number: int = 99) -> Blocked:
    blocked = await enter(breaker, lease, number)
    assert blocked is not None
    return blocked


async def waiter(store: JobStore, breaker: CircuitBreaker, *, owner: str = "ann") -> str:
    """A job that was refused and has given its slot back."""
    lease = await running(store, owner=owner)
    blocked = await refused(breaker, lease)
    await store.release(lease, wait_s=blocked.wait_s, at_breaker=True)
    return lease.job_id


async def fail(breaker: CircuitBreaker, store: JobStore, times: int, *, code: str = "provider_down") -> None:
    """Have calls fail, each that of another owner."""
    for _ in range(times):
        await call(breaker, await running(store, owner=f"stranger-{next(NUMBERS)}"), CallOutcome.BAD, code=code)


async def open_breaker(breaker: CircuitBreaker, store: JobStore) -> None:
    await fail(breaker, store, 5)


async def open_breakers(redis: Redis, breaker: CircuitBreaker) -> dict[str, float]:
    """Find the breakers that are open, or were and wait for their probe, and until when."""
    keys = [str(key) for key in await redis.keys(f"darkroom:gate:{breaker.name}*")]
    hashes = [key for key in keys if await redis.type(key) == "hash"]
    return {key: float(until) for key in hashes if (until := await redis.hget(key, "open_until"))}


async def let_time_pass(redis: Redis, breaker: CircuitBreaker) -> None:
    """End the time for which breakers are open."""
    for key in await open_breakers(redis, breaker):
        await redis.hset(key, "open_until", "1")


async def open_for_s(redis: Redis, breaker: CircuitBreaker) -> float:
    """Tell how long the breaker stays open."""
    until = max((await open_breakers(redis, breaker)).values(), default=0)
    seconds, micros = await redis.time()
    return until / 1000 - seconds - micros / 1e6


async def learned(redis: Redis, breaker: CircuitBreaker) -> int | None:
    found = await redis.hget(f"darkroom:gate:{breaker.name}", "learned")
    return None if found is None else int(found)


async def waiters(redis: Redis, breaker: CircuitBreaker) -> list[str]:
    lists = (f"darkroom:gate:{breaker.name}:waiters", f"darkroom:gate:{breaker.name}:{breaker.model}:waiters")
    return [str(job_id) for name in lists for job_id in await redis.zrange(name, 0, -1)]


async def crash(store: JobStore, redis: Redis, lease: Lease) -> None:
    """End a job's lease without its worker."""
    await redis.zadd("darkroom:running", {lease.job_id: 1})
    await sweep(store)


# The breaker


async def test_five_bad_calls_in_a_row_open_the_breaker(
    store: JobStore, breaker: CircuitBreaker, lease: Lease, redis: Redis
) -> None:
    await fail(breaker, store, 4)
    await fail(breaker, store, 1, code="provider_timeout")
    waits = [await refused(breaker, lease, number) for number in range(20)]
    assert {blocked.code for blocked in waits} == {"provider_timeout"}
    assert all(OPEN_S - 1 < blocked.wait_s <= 2 * OPEN_S for blocked in waits)
    assert len({blocked.wait_s for blocked in waits}) == 20  # they do not come back in the same instant
    assert OPEN_S - 1 < await open_for_s(redis, breaker) <= OPEN_S


@pytest.mark.parametrize("answer", ANSWERS)
async def test_a_provider_that_answers_in_between_is_not_down(
    store: JobStore, breaker: CircuitBreaker, lease: Lease, answer: CallOutcome
) -> None:
    for _ in range(4):
        await fail(breaker, store, 4)
        await call(breaker, lease, answer)
    await fail(breaker, store, 4)
    await call(breaker, lease, CallOutcome.UNKNOWN)
    assert await enter(breaker, lease) is None


async def test_flapping_and_random_errors_do_not_open_the_breaker(
    store: JobStore, breaker: CircuitBreaker, lease: Lease
) -> None:
    dice = random.Random(5)
    for is_bad in [*[False, True] * 20, *(dice.random() < 0.3 for _ in range(60))]:
        await (fail(breaker, store, 1) if is_bad else call(breaker, lease, CallOutcome.GOOD))


async def test_calls_that_were_given_up_say_nothing(store: JobStore, breaker: CircuitBreaker, lease: Lease) -> None:
    await fail(breaker, store, 4)
    await call(breaker, lease, *[CallOutcome.UNKNOWN] * 9)
    await fail(breaker, store, 1)
    assert (await refused(breaker, lease)).code == "provider_down"


async def test_a_rejected_key_opens_the_breaker_at_once(
    breaker: CircuitBreaker, lease: Lease, redis: Redis, store: JobStore
) -> None:
    await call(breaker, lease, CallOutcome.KEY, code="provider_auth")
    blocked = await refused(breaker, lease)
    assert blocked.code == "provider_auth"
    assert 4 * OPEN_S - 1 < blocked.wait_s <= 5 * OPEN_S
    assert await enter(breaker_to(store, key="another"), lease) is None
    await let_time_pass(redis, breaker)
    await call(breaker, lease, CallOutcome.KEY, code="provider_auth")
    assert 4 * OPEN_S - 1 < await open_for_s(redis, breaker) <= 4 * OPEN_S
    await let_time_pass(redis, breaker)
    await call(breaker, lease, CallOutcome.GOOD, CallOutcome.GOOD)


async def test_one_call_of_fifty_is_the_probe(
    store: JobStore, breaker: CircuitBreaker, lease: Lease, redis: Redis
) -> None:
    await open_breaker(breaker, store)
    await let_time_pass(redis, breaker)
    answers = await asyncio.gather(*(enter(breaker, lease, number) for number in range(50)))
    assert answers.count(None) == 1
    await let_time_pass(redis, breaker)  # it takes longer than the breaker was open
    assert all(await asyncio.gather(*(enter(breaker, lease, number) for number in range(50, 99))))
    assert (await refused(breaker, lease)).code == "provider_down"


async def test_the_breaker_lets_a_probe_through_when_its_time_is_over(store: JobStore, lease: Lease) -> None:
    breaker = breaker_to(store, open_s=0.2)
    await open_breaker(breaker, store)
    await asyncio.sleep((await refused(breaker, lease)).wait_s)
    assert await enter(breaker, lease) is None


@pytest.mark.parametrize("answer", ANSWERS)
async def test_a_probe_that_is_answered_closes_the_breaker(
    store: JobStore, breaker: CircuitBreaker, lease: Lease, redis: Redis, answer: CallOutcome
) -> None:
    await open_breaker(breaker, store)
    await let_time_pass(redis, breaker)
    await call(breaker, lease, answer)
    await fail(breaker, store, 4)
    await call(breaker, lease, CallOutcome.GOOD)


async def test_a_bad_probe_opens_it_for_twice_as_long_and_never_longer(
    store: JobStore, breaker: CircuitBreaker, lease: Lease, redis: Redis
) -> None:
    await open_breaker(breaker, store)
    for _ in range(3):
        await let_time_pass(redis, breaker)
        await call(breaker, lease, CallOutcome.BAD, code="provider_timeout")
        assert 2 * OPEN_S - 1 < await open_for_s(redis, breaker) <= 2 * OPEN_S
    assert (await refused(breaker, lease)).code == "provider_timeout"


async def test_a_probe_that_was_given_up_makes_way_for_the_next(
    store: JobStore, breaker: CircuitBreaker, lease: Lease, redis: Redis
) -> None:
    await open_breaker(breaker, store)
    await let_time_pass(redis, breaker)
    await call(breaker, lease, CallOutcome.UNKNOWN)
    assert await open_for_s(redis, breaker) > OPEN_S - 1  # one probe in that time, also when users cancel
    await refused(breaker, lease)
    await let_time_pass(redis, breaker)
    await call(breaker, lease, CallOutcome.GOOD)


async def test_a_killed_probe_makes_way_for_the_next(
    breaker: CircuitBreaker, lease: Lease, store: JobStore, redis: Redis
) -> None:
    other = await running(store)
    await open_breaker(breaker, store)
    await let_time_pass(redis, breaker)
    assert await enter(breaker, lease) is None
    await let_time_pass(redis, breaker)
    await refused(breaker, other)
    await crash(store, redis, lease)
    assert await enter(breaker, other) is None
    await refused(breaker, await claimed(store, lease.job_id))
    await breaker.leave(
        lease, 0, CallOutcome.MODEL, code="provider_forbidden"
    )  # a paused worker's: it is not the probe any more
    assert await open_for_s(redis, breaker) <= OPEN_S
    await let_time_pass(redis, breaker)
    assert (await refused(breaker, await running(store))).code == "provider_down"


async def test_a_probe_has_its_time(store: JobStore, breaker: CircuitBreaker, lease: Lease, redis: Redis) -> None:
    await open_breaker(breaker, store)
    await let_time_pass(redis, breaker)
    assert await enter(breaker, lease, 1) is None
    await let_time_pass(redis, breaker)
    await refused(breaker, lease, 2)
    score = await redis.zscore(f"darkroom:gate:{breaker.name}:calls", f"{lease.job_id}:{lease.fence}:1")
    assert score is not None
    assert MOST_S + GRACE_S - 5 < float(score) / 1000 - (await redis.time())[0] < MOST_S + GRACE_S + 1
    await redis.zadd(f"darkroom:gate:{breaker.name}:calls", {f"{lease.job_id}:{lease.fence}:1": 1})
    assert await enter(breaker, lease, 2) is None


@pytest.mark.parametrize("answer", ANSWERS)
async def test_a_late_sign_of_life_lets_a_probe_go_at_once(
    store: JobStore, breaker: CircuitBreaker, lease: Lease, answer: CallOutcome
) -> None:
    assert await enter(breaker, lease, 1) is None
    await open_breaker(breaker, store)
    await breaker.leave(lease, 1, answer)
    assert await enter(breaker, lease, 2) is None
    await refused(breaker, lease, 3)  # one, and no more: it was begun before the provider failed


async def test_a_late_sign_of_life_does_not_stand_for_the_probe(
    store: JobStore, breaker: CircuitBreaker, lease: Lease, redis: Redis
) -> None:
    assert await enter(breaker, lease, 1) is None
    await open_breaker(breaker, store)
    await let_time_pass(redis, breaker)
    assert await enter(breaker, lease, 2) is None
    await breaker.leave(lease, 1, CallOutcome.GOOD)
    await refused(breaker, lease, 3)
    await breaker.leave(lease, 2, CallOutcome.BAD, code="provider_down")
    assert await open_for_s(redis, breaker) > OPEN_S


async def test_late_failures_change_nothing(
    breaker: CircuitBreaker, lease: Lease, store: JobStore, redis: Redis
) -> None:
    late = [await running(store, owner=f"late-{number}") for number in range(20)]
    for each in late:
        assert await enter(breaker, each) is None
    await open_breaker(breaker, store)
    before = await open_for_s(redis, breaker)
    for number, each in enumerate(late[:10]):
        await breaker.leave(each, 0, CallOutcome.MODEL if number % 2 else CallOutcome.BAD, code="provider_timeout")
    assert await open_for_s(redis, breaker) <= before
    assert (await refused(breaker, lease)).code == "provider_down"
    await let_time_pass(redis, breaker)
    await call(breaker, lease, CallOutcome.GOOD)
    for each in late[10:]:  # also when the provider is back: they were begun before
        await breaker.leave(each, 0, CallOutcome.BAD, code="provider_timeout")
    await fail(breaker, store, 4)
    assert await enter(breaker, lease) is None


async def test_a_late_answer_about_a_rejected_key_changes_nothing(
    breaker: CircuitBreaker, lease: Lease, redis: Redis
) -> None:
    for number in range(3):
        assert await enter(breaker, lease, number) is None
    await breaker.leave(lease, 0, CallOutcome.KEY, code="provider_auth")
    before = await open_for_s(redis, breaker)
    await breaker.leave(lease, 1, CallOutcome.KEY, code="provider_tls_failed")
    await breaker.leave(lease, 2, CallOutcome.BAD, code="provider_down")
    assert await open_for_s(redis, breaker) <= before
    assert (await refused(breaker, lease)).code == "provider_auth"


async def test_a_dead_provider_is_left_alone(store: JobStore, redis: Redis) -> None:
    breaker = breaker_to(store, open_s=0.15)
    leases = [await running(store, owner=f"owner-{number}") for number in range(50)]
    begun = time.monotonic()
    calls = 0
    while time.monotonic() - begun < 1.5:
        for lease in leases:
            number = next(NUMBERS)
            if await enter(breaker, lease, number) is None:
                calls += 1
                await breaker.leave(lease, number, CallOutcome.BAD, code="provider_unreachable")
    assert 5 + 3 <= calls <= 5 + (time.monotonic() - begun) / 0.15


# Whose failures count, and for whom


async def test_the_repeats_of_one_job_open_nothing(
    breaker: CircuitBreaker, lease: Lease, store: JobStore, redis: Redis
) -> None:
    await call(breaker, lease, *[CallOutcome.BAD] * 30)
    assert await open_breakers(redis, breaker) == {}
    assert await enter(breaker, lease) is await enter(breaker_to(store, model="c/d"), lease, 1) is None


async def test_an_owner_s_failing_jobs_open_the_breaker_of_that_owner_alone(
    breaker: CircuitBreaker, store: JobStore
) -> None:
    for _ in range(2):
        await call(breaker, await running(store), CallOutcome.BAD, CallOutcome.BAD)
    await call(breaker, await running(store), CallOutcome.BAD)
    ann, bob = await running(store), await running(store, owner="bob")
    assert (await refused(breaker, ann)).code == "provider_down"
    assert await enter(breaker_to(store, model="c/d"), ann) is None
    assert await enter(breaker, bob) is None


async def test_another_s_success_closes_it_again_and_wakes_the_waiting(
    breaker: CircuitBreaker, store: JobStore, redis: Redis
) -> None:
    for _ in range(5):
        await call(breaker, await running(store), CallOutcome.BAD)
    job_id = await waiter(store, breaker)
    cat, bob = await running(store, owner="cat"), await running(store, owner="bob")
    await bells(redis)
    await call(breaker, cat, CallOutcome.BAD)  # that is no success
    assert await bells(redis) == []
    await call(breaker, bob, CallOutcome.GOOD)
    assert await bells(redis) == [job_id]
    await call(breaker, await claimed(store, job_id), *[CallOutcome.BAD] * 3)  # a new row
    assert await enter(breaker, await running(store)) is None


@pytest.mark.parametrize(("owners", "is_open"), [(1, False), (2, False), (3, True), (5, True)])
async def test_failures_of_several_owners_open_the_breaker_for_all(
    breaker: CircuitBreaker, store: JobStore, owners: int, is_open: bool
) -> None:
    for number in range(5):
        await call(breaker, await running(store, owner=f"owner-{number % owners}"), CallOutcome.BAD)
        if number == 3:
            assert await enter(breaker, await running(store, owner="early"), 7) is None
    assert (await enter(breaker, await running(store, owner="bob")) is not None) is is_open


async def test_what_concerns_a_model_opens_the_breaker_of_that_model(
    breaker: CircuitBreaker, store: JobStore, lease: Lease, redis: Redis
) -> None:
    other = breaker_to(store, model="c/d")
    await call(breaker, lease, CallOutcome.MODEL, code="provider_credits")
    blocked = await refused(breaker, await running(store, owner="bob"))
    assert blocked.code == "provider_credits"
    assert 4 * OPEN_S - 1 < blocked.wait_s <= 5 * OPEN_S
    await call(other, lease, CallOutcome.GOOD)
    await refused(breaker, lease)  # the other one's success says nothing about it
    await let_time_pass(redis, breaker)
    await call(breaker, lease, CallOutcome.GOOD, CallOutcome.GOOD)
    await call(breaker, lease, CallOutcome.KEY, code="provider_auth")
    assert (await refused(breaker, lease)).code == (await refused(other, lease)).code == "provider_auth"


async def test_a_model_that_is_down_delays_no_other(breaker: CircuitBreaker, store: JobStore, lease: Lease) -> None:
    await open_breaker(breaker, store)
    await refused(breaker, lease)
    await call(breaker_to(store, model="c/d"), lease, CallOutcome.GOOD, CallOutcome.BAD, CallOutcome.GOOD)
    await refused(breaker, lease)


async def test_who_waits_for_a_model_is_not_woken_by_another_one_s_success(
    breaker: CircuitBreaker, store: JobStore, lease: Lease, redis: Redis
) -> None:
    await open_breaker(breaker, store)
    await waiter(store, breaker)
    await bells(redis)
    await call(breaker_to(store, model="c/d"), lease, CallOutcome.GOOD)
    assert await bells(redis) == []


async def test_the_limit_of_calls_is_the_key_s(store: JobStore, lease: Lease) -> None:
    ways = [breaker_to(store, limit=2, model=model) for model in ("a/b", "c/d", "e/f")]
    answers = [await enter(way, lease, number) for number, way in enumerate(ways)]
    assert [answer is None for answer in answers] == [True, True, False]
    await ways[0].leave(lease, 0, CallOutcome.BAD, code="provider_down")
    assert await enter(ways[2], lease, 2) is None


async def test_a_place_kept_for_a_job_whose_model_is_blocked_meanwhile_goes_to_the_next(
    store: JobStore, lease: Lease, redis: Redis
) -> None:
    breaker, other = breaker_to(store, limit=1), breaker_to(store, limit=1, model="c/d")
    assert await enter(other, lease) is None
    first = await waiter(store, breaker, owner="bob")
    await asyncio.sleep(0.002)  # jobs of one millisecond have no order
    second = await waiter(store, other, owner="cat")
    await bells(redis)
    await other.leave(lease, 0, CallOutcome.GOOD)
    assert await bells(redis) == [first]
    await redis.hset(
        f"darkroom:gate:{breaker.name}:{breaker.model}", mapping={"open_until": "9e15", "code": "provider_down"}
    )
    assert (await refused(breaker, await claimed(store, first))).code == "provider_down"
    assert await bells(redis) == [second]


Deed = tuple[str, str, CallOutcome]  # an owner's job, and how its call ended


@pytest.mark.parametrize(
    ("deeds", "falters"),
    [
        ([], False),
        ([("ann", "mine", CallOutcome.BAD)], False),
        ([("ann", "other", CallOutcome.BAD)], True),
        ([("ann", "other", CallOutcome.GOOD)], False),
        ([("bob", "his", CallOutcome.BAD)], True),
        ([("bob", "his", CallOutcome.BAD), ("bob", "his", CallOutcome.GOOD)], True),
        ([("ann", "other", CallOutcome.BAD), ("bob", "his", CallOutcome.GOOD)], False),
        ([("ann", "other", CallOutcome.BAD), ("ann", "other", CallOutcome.GOOD)], True),
        ([("ann", "other", CallOutcome.BAD), ("ann", "mine", CallOutcome.BAD)], True),
        ([("ann", "other", CallOutcome.UNKNOWN), ("bob", "his", CallOutcome.THROTTLED)], False),
    ],
    ids=str,
)
async def test_a_job_that_fails_alone_is_told_from_a_provider_that_fails(
    deeds: list[Deed], falters: bool, breaker: CircuitBreaker, store: JobStore, redis: Redis
) -> None:
    leases: dict[str, Lease] = {"mine": await running(store)}
    await fail(breaker, store, 1)  # before the job had begun
    await asyncio.sleep(0.005)
    seconds, micros = await redis.time()
    for owner, job, outcome in deeds:
        leases[job] = leases.get(job) or await running(store, owner=owner)
        await call(breaker, leases[job], outcome)
    assert await enter(breaker, leases["mine"]) is None
    since_ms = seconds * 1000 + micros / 1000
    assert await breaker.leave(leases["mine"], 0, CallOutcome.BAD, code="provider_error", since_ms=since_ms) is falters


async def test_an_error_that_passed_by_itself_shows_for_minutes_that_the_provider_falters(
    breaker: CircuitBreaker, store: JobStore, redis: Redis
) -> None:
    mine = await running(store)

    async def falters() -> bool:
        number = next(NUMBERS)
        assert await enter(breaker, mine, number) is None
        return await breaker.leave(mine, number, CallOutcome.BAD, code="provider_error", since_ms=9e15)

    assert not await falters()
    other = await running(store, owner="bob")
    assert await enter(breaker, other) is None
    await breaker.leave(other, 0, CallOutcome.GOOD, has_passed=True)
    assert await falters()
    seconds, _ = await redis.time()
    await redis.hset(f"darkroom:gate:{breaker.name}:{breaker.model}", "faltered_at", str((seconds - 301) * 1000))
    assert not await falters()


async def test_errors_that_each_job_meets_alone_open_nothing(
    breaker: CircuitBreaker, store: JobStore, redis: Redis
) -> None:
    for _ in range(9):  # one after the other, and each makes its three calls
        lease = await running(store)
        await asyncio.sleep(0.003)
        seconds, micros = await redis.time()
        for number in range(3):
            assert await enter(breaker, lease, number) is None
            since_ms = seconds * 1000 + micros / 1000
            await breaker.leave(lease, number, CallOutcome.BAD, code="provider_error", since_ms=since_ms)
        await store.end(lease, JobState.FAILED)
    assert await open_breakers(redis, breaker) == {}


# The limit


async def test_no_more_calls_than_the_limit(store: JobStore, lease: Lease, redis: Redis) -> None:
    breaker = breaker_to(store, limit=2)
    await open_breaker(breaker, store)
    await let_time_pass(redis, breaker)
    await call(breaker, lease, CallOutcome.GOOD)
    answers = await asyncio.gather(*(enter(breaker, lease, number) for number in range(10)))
    assert answers.count(None) == 2
    blocked = next(answer for answer in answers if answer)
    assert blocked.code == ""  # what opened it once is forgotten
    assert 15 <= blocked.wait_s <= 15 + OPEN_S


@pytest.mark.parametrize("outcome", CallOutcome)
async def test_whoever_leaves_makes_room(store: JobStore, lease: Lease, outcome: CallOutcome) -> None:
    breaker = breaker_to(store, limit=2)
    assert await enter(breaker, lease, 0) is await enter(breaker, lease, 1) is None
    await refused(breaker, lease, 2)
    await breaker.leave(lease, 0, outcome, code="provider_auth")
    assert (await enter(breaker, lease, 2) is None) is (
        outcome not in (CallOutcome.KEY, CallOutcome.MODEL, CallOutcome.THROTTLED)
    )


async def test_places_of_lost_leases_are_given_to_others(store: JobStore, redis: Redis) -> None:
    breaker = breaker_to(store, limit=1)
    endings: list[Callable[[Lease], Awaitable[object]]] = [
        lambda lease: store.cancel(lease.job_id),
        lambda lease: store.end(lease, JobState.SUCCEEDED),
        lambda lease: store.release(lease),
        lambda lease: crash(store, redis, lease),
    ]
    for ending in endings:
        lease, other = await running(store), await running(store)
        assert await enter(breaker, lease) is None
        await refused(breaker, other)
        await ending(lease)
        assert await enter(breaker, other) is None
        await breaker.leave(lease, 0, CallOutcome.BAD, code="provider_down")  # too late: the place is another's
        await refused(breaker, await running(store))
        await breaker.leave(other, 0, CallOutcome.GOOD)


async def test_a_job_that_is_claimed_again_gets_its_lost_place_back(store: JobStore, redis: Redis) -> None:
    breaker = breaker_to(store, limit=1)
    lease = await running(store)
    assert await enter(breaker, lease) is None
    await crash(store, redis, lease)
    assert await enter(breaker, await claimed(store, lease.job_id)) is None


async def test_a_place_has_its_time(store: JobStore, lease: Lease, redis: Redis) -> None:
    breaker = breaker_to(store, limit=1)
    assert await breaker.enter(lease, 1, most_s=0.1 - GRACE_S) is None
    await refused(breaker, lease, 2)
    await asyncio.sleep(0.12)
    assert await enter(breaker, lease, 2) is None


async def test_entering_again_takes_no_second_place(store: JobStore, lease: Lease, redis: Redis) -> None:
    breaker = breaker_to(store, limit=2)
    for number in (1, 1, 1, 2, 2):
        assert await enter(breaker, lease, number) is None
    assert await redis.zcard(f"darkroom:gate:{breaker.name}:calls") == 2
    await refused(breaker, lease, 3)


async def test_a_probe_that_enters_again_is_still_the_probe(
    store: JobStore, breaker: CircuitBreaker, lease: Lease, redis: Redis
) -> None:
    await open_breaker(breaker, store)
    await let_time_pass(redis, breaker)
    assert await enter(breaker, lease, 1) is await enter(breaker, lease, 1) is None
    await breaker.leave(lease, 1, CallOutcome.GOOD)
    await call(breaker, lease, CallOutcome.GOOD)


async def test_leaving_again_changes_nothing(breaker: CircuitBreaker, lease: Lease, redis: Redis) -> None:
    assert await enter(breaker, lease, 1) is None
    for _ in range(9):
        await breaker.leave(lease, 1, CallOutcome.BAD, code="provider_down")
    await breaker.leave(lease, 1, CallOutcome.KEY, code="provider_auth")
    await breaker.leave(lease, 1, CallOutcome.THROTTLED)
    rows = {str(key): await redis.hget(key, "row") for key in await redis.keys("darkroom:gate:*:*")}
    assert rows == {
        f"darkroom:gate:{breaker.name}:{breaker.model}": digest("ann"),
        f"darkroom:gate:{breaker.name}:{breaker.model}:{digest('ann')}": lease.job_id,
    }
    assert await redis.hgetall(f"darkroom:gate:{breaker.name}") == {"tick": "3"}


async def test_nobody_enters_with_an_old_fence(
    breaker: CircuitBreaker, lease: Lease, store: JobStore, redis: Redis
) -> None:
    await store.release(lease)
    await claimed(store, lease.job_id)
    with pytest.raises(LeaseLost):
        await enter(breaker, lease)
    assert await redis.keys("darkroom:gate:*") == []


# What throttling teaches


async def throttled(breaker: CircuitBreaker, lease: Lease, calls: int) -> None:
    """Have one of so many calls throttled, and the others given up."""
    numbers = [next(NUMBERS) for _ in range(calls)]
    for number in numbers:
        assert await enter(breaker, lease, number) is None
    await breaker.leave(lease, numbers[0], CallOutcome.THROTTLED)
    for number in numbers[1:]:
        await breaker.leave(lease, number, CallOutcome.UNKNOWN)


@pytest.mark.parametrize(("calls", "limit"), [(1, 1), (2, 1), (3, 1), (8, 4), (9, 4)])
async def test_throttling_halves_the_calls(
    breaker: CircuitBreaker, lease: Lease, redis: Redis, calls: int, limit: int
) -> None:
    await throttled(breaker, lease, calls)
    answers = await asyncio.gather(*(enter(breaker, lease, 10_000 + number) for number in range(10)))
    assert answers.count(None) == await learned(redis, breaker) == limit


async def test_the_learned_limit_grows_with_each_round_of_good_calls(
    breaker: CircuitBreaker, lease: Lease, redis: Redis
) -> None:
    await throttled(breaker, lease, 4)
    limits = []
    for _ in range(9):
        await call(breaker, lease, CallOutcome.GOOD, CallOutcome.NEUTRAL, CallOutcome.BAD)
        limits.append(await learned(redis, breaker))
    assert limits == [2, 3, 3, 3, 4, 4, 4, 4, 5]


async def test_a_round_of_good_calls_begins_anew_with_throttling(
    breaker: CircuitBreaker, lease: Lease, redis: Redis
) -> None:
    await throttled(breaker, lease, 8)
    await call(breaker, lease, *[CallOutcome.GOOD] * 3)
    await redis.hincrby(f"darkroom:gate:{breaker.name}", "throttled_at", -1001)
    await throttled(breaker, lease, 4)
    await call(breaker, lease, CallOutcome.GOOD)
    assert await learned(redis, breaker) == 2


async def test_calls_that_are_throttled_together_halve_once(
    breaker: CircuitBreaker, lease: Lease, redis: Redis
) -> None:
    numbers = [next(NUMBERS) for _ in range(10)]
    for number in numbers:
        assert await enter(breaker, lease, number) is None
    for number in numbers:
        await breaker.leave(lease, number, CallOutcome.THROTTLED)
    assert await learned(redis, breaker) == 5


async def test_the_learned_limit_is_forgotten(breaker: CircuitBreaker, lease: Lease, redis: Redis) -> None:
    await throttled(breaker, lease, 2)
    await redis.hset(f"darkroom:gate:{breaker.name}", mapping={"learned": "63", "good": "62"})
    await call(breaker, lease, CallOutcome.GOOD)
    assert await learned(redis, breaker) is None
    await throttled(breaker, lease, 2)
    seconds, _ = await redis.time()
    await redis.hset(f"darkroom:gate:{breaker.name}", "throttled_at", str((seconds - 599) * 1000))
    assert await enter(breaker, lease, 1) is None
    await refused(breaker, lease, 2)
    await redis.hset(f"darkroom:gate:{breaker.name}", "throttled_at", str((seconds - 601) * 1000))
    assert await enter(breaker, lease, 2) is None
    assert await learned(redis, breaker) is None


async def test_the_smaller_limit_counts(store: JobStore, lease: Lease, redis: Redis) -> None:
    breaker = breaker_to(store, limit=4)
    await throttled(breaker, lease, 4)
    assert (await asyncio.gather(*(enter(breaker, lease, number) for number in range(9)))).count(None) == 2
    await redis.hset(f"darkroom:gate:{breaker.name}", "learned", "50")
    assert (await asyncio.gather(*(enter(breaker, lease, number) for number in range(9)))).count(None) == 4


async def test_nobody_is_sent_after_a_throttled_call(store: JobStore, lease: Lease, redis: Redis) -> None:
    breaker = breaker_to(store, limit=1)
    assert await enter(breaker, lease) is None
    job_id = await waiter(store, breaker)
    await breaker.leave(lease, 0, CallOutcome.THROTTLED)
    assert await waiters(redis, breaker) == [job_id]


# Who is woken when


async def test_waiters_are_woken_one_by_one_in_the_order_of_the_queue(
    store: JobStore, lease: Lease, redis: Redis
) -> None:
    breaker = breaker_to(store, limit=1)
    assert await enter(breaker, lease) is None
    ids = []
    for number in range(20):
        ids.append(await waiter(store, breaker, owner=f"owner-{number}"))
        await asyncio.sleep(0.002)  # jobs of one millisecond have no order
    await bells(redis)
    for job_id in ids:
        await breaker.leave(lease, 0, CallOutcome.GOOD)
        assert await bells(redis) == [job_id]
        lease = await claimed(store, job_id)
        assert await enter(breaker, lease) is None
    assert await waiters(redis, breaker) == []


async def test_an_owner_with_many_jobs_is_woken_after_one_with_few(store: JobStore, redis: Redis) -> None:
    breaker = breaker_to(store, limit=1)
    lease = await running(store, owner="cat")
    assert await enter(breaker, lease) is None
    anns = [await waiter(store, breaker) for _ in range(3)]
    bobs = await waiter(store, breaker, owner="bob")
    assert await waiters(redis, breaker) == [anns[0], bobs, *anns[1:]]


async def test_all_are_woken_in_order_when_the_breaker_closes(
    breaker: CircuitBreaker, store: JobStore, lease: Lease, redis: Redis
) -> None:
    await open_breaker(breaker, store)
    ids = []
    for number in range(20):
        ids.append(await waiter(store, breaker, owner=f"owner-{number}"))
        await asyncio.sleep(0.002)
    await bells(redis)
    await let_time_pass(redis, breaker)
    assert await enter(breaker, lease) is None
    assert await bells(redis) == []
    await breaker.leave(lease, 0, CallOutcome.GOOD)
    assert await bells(redis) == ids
    for job_id in ids:
        assert await enter(breaker, await claimed(store, job_id)) is None


async def test_nobody_is_woken_while_the_breaker_is_open_or_a_probe_under_way(
    breaker: CircuitBreaker, store: JobStore, lease: Lease, redis: Redis
) -> None:
    for number in (1, 2, 3):
        assert await enter(breaker, lease, number) is None
    await open_breaker(breaker, store)
    job_id = await waiter(store, breaker)
    await bells(redis)
    await breaker.leave(lease, 1, CallOutcome.BAD, code="provider_down")
    await breaker.leave(lease, 2, CallOutcome.UNKNOWN)
    await let_time_pass(redis, breaker)
    assert await enter(breaker, lease, 4) is None
    await breaker.leave(lease, 3, CallOutcome.GOOD)
    assert await bells(redis) == []
    await breaker.leave(lease, 4, CallOutcome.UNKNOWN)  # it took longer than the breaker was open: the next may probe
    assert await bells(redis) == [job_id]


async def test_one_is_woken_to_probe(breaker: CircuitBreaker, store: JobStore, lease: Lease, redis: Redis) -> None:
    assert await enter(breaker, lease, 1) is None
    await open_breaker(breaker, store)
    ids = [await waiter(store, breaker) for _ in range(3)]
    await bells(redis)
    await breaker.leave(lease, 1, CallOutcome.GOOD)
    assert await bells(redis) == ids[:1]


async def test_a_hundred_are_woken_in_one_go(
    breaker: CircuitBreaker, store: JobStore, lease: Lease, redis: Redis
) -> None:
    await open_breaker(breaker, store)
    ids = [await waiter(store, breaker, owner=f"owner-{number}") for number in range(120)]
    await bells(redis)
    await let_time_pass(redis, breaker)
    await call(breaker, lease, CallOutcome.GOOD)
    assert len(await bells(redis)) == 100
    await call(breaker, lease, CallOutcome.GOOD)
    assert len(await bells(redis)) == 20
    assert len(ids) == 120


async def test_a_waiter_that_is_over_is_passed_by(store: JobStore, lease: Lease, redis: Redis) -> None:
    breaker = breaker_to(store, limit=1)
    assert await enter(breaker, lease) is None
    cancelled, forgotten, last = [await waiter(store, breaker) for _ in range(3)]
    await bells(redis)
    await store.cancel(cancelled)
    await redis.delete(f"darkroom:job:{forgotten}")
    await breaker.leave(lease, 0, CallOutcome.GOOD)
    assert await bells(redis) == [last]
    assert (await store.get(cancelled)).state is JobState.CANCELLED
    assert not await redis.exists(f"darkroom:job:{forgotten}")


async def test_a_waiter_that_still_has_its_slot_is_woken_as_it_gives_it_back(
    store: JobStore, lease: Lease, redis: Redis
) -> None:
    breaker = breaker_to(store, limit=1)
    assert await enter(breaker, lease) is None
    slow = await running(store)
    wait_s = (await refused(breaker, slow)).wait_s
    quick = await waiter(store, breaker)
    await bells(redis)
    await breaker.leave(lease, 0, CallOutcome.GOOD)
    assert await bells(redis) == [quick]  # the place is not kept for one who may be busy for long
    await store.release(slow, wait_s=wait_s, at_breaker=True)
    assert await bells(redis) == [slow.job_id]
    again = await claimed(store, slow.job_id)
    await store.release(again, wait_s=wait_s, at_breaker=True)  # it was woken once
    assert await bells(redis) == []


async def test_a_job_that_is_refused_again_is_not_woken_by_what_was(store: JobStore, redis: Redis) -> None:
    breaker = breaker_to(store, limit=1)
    lease, other = await running(store), await running(store)
    assert await enter(breaker, lease) is None
    await refused(breaker, other, 1)
    await breaker.leave(lease, 0, CallOutcome.GOOD)
    assert await enter(breaker, lease, 1) is None
    blocked = await refused(breaker, other, 2)
    await bells(redis)
    await store.release(other, wait_s=blocked.wait_s, at_breaker=True)
    assert await bells(redis) == []
    await breaker.leave(lease, 1, CallOutcome.GOOD)
    assert await bells(redis) == [other.job_id]


async def test_a_job_that_waits_for_something_else_is_left_alone(store: JobStore, lease: Lease, redis: Redis) -> None:
    breaker = breaker_to(store, limit=1)
    assert await enter(breaker, lease) is None
    early, late = await running(store), await running(store)
    for job in (early, late):
        await refused(breaker, job)
    await bells(redis)
    await store.release(early, wait_s=30)  # as its provider asked
    await breaker.leave(lease, 0, CallOutcome.GOOD)
    await store.release(late, wait_s=30)
    assert await bells(redis) == []
    assert {str(job_id) for job_id in await redis.zrange("darkroom:waiting", 0, -1)} == {early.job_id, late.job_id}


async def test_a_place_is_kept_for_a_job_that_was_woken(store: JobStore, lease: Lease, redis: Redis) -> None:
    breaker = breaker_to(store, limit=1)
    assert await enter(breaker, lease) is None
    job_id = await waiter(store, breaker)
    await breaker.leave(lease, 0, CallOutcome.GOOD)
    await refused(breaker, lease, 1)  # it may not push in
    woken = await claimed(store, job_id)
    assert await enter(breaker, woken) is None
    await refused(breaker, woken, 1)  # one place, not two
    await breaker.leave(woken, 0, CallOutcome.GOOD)
    assert await waiters(redis, breaker) == []  # both still have their slots: they are told as they give them back
    assert await enter(breaker, lease, 2) is None


async def test_a_kept_place_has_its_time(store: JobStore, lease: Lease, redis: Redis) -> None:
    breaker = breaker_to(store, limit=1)
    assert await enter(breaker, lease) is None
    job_id = await waiter(store, breaker)
    await breaker.leave(lease, 0, CallOutcome.GOOD)
    await redis.zadd(f"darkroom:gate:{breaker.name}:calls", {job_id: 1}, xx=True)
    assert await enter(breaker, lease, 1) is None


async def test_whoever_came_by_itself_waits_no_more(store: JobStore, lease: Lease, redis: Redis) -> None:
    breaker = breaker_to(store, limit=1)
    assert await enter(breaker, lease) is None
    job_id = await waiter(store, breaker)
    await store.cancel(lease.job_id)
    await redis.hset(f"darkroom:job:{job_id}", "not_before", "1")  # its time is over
    again = await claimed(store, job_id)
    assert await waiters(redis, breaker) == [job_id]
    assert await enter(breaker, again) is None
    assert await waiters(redis, breaker) == []


async def test_a_lost_bell_of_a_woken_job_is_rung_by_the_sweeper(
    store: JobStore, lease: Lease, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaker = breaker_to(store, limit=1)
    assert await enter(breaker, lease) is None
    job_id = await waiter(store, breaker)
    await bells(redis)
    with monkeypatch.context() as patch:
        patch.setattr(JobStore, "ring", lambda *_: asyncio.sleep(0))  # the worker dies between the two
        await breaker.leave(lease, 0, CallOutcome.GOOD)
    assert await bells(redis) == []
    await sweep(store, patience_s=60)
    assert await bells(redis) == [job_id]


async def test_no_waiter_is_forgotten_and_no_place_given_twice(store: JobStore, redis: Redis) -> None:
    """Sixty jobs, some of them cancelled, go through three places without anybody's wait coming to its end."""
    breaker, dice = breaker_to(store, limit=3), random.Random(7)
    leases = [await running(store, owner=f"owner-{number}") for number in range(60)]
    await bells(redis)
    begun: list[str] = []
    under_way: set[str] = set()

    async def work(lease: Lease) -> None:
        if blocked := await enter(breaker, lease):
            await asyncio.sleep(dice.random() / 50)
            with suppress(LeaseLost):  # it is one of those cancelled
                await store.release(lease, wait_s=blocked.wait_s, at_breaker=True)
            return
        begun.append(lease.job_id)
        under_way.add(lease.job_id)
        assert len(under_way) <= 3
        await asyncio.sleep(dice.random() / 50)
        under_way.remove(lease.job_id)
        await breaker.leave(lease, 0, dice.choice([CallOutcome.GOOD, CallOutcome.NEUTRAL, CallOutcome.UNKNOWN]))
        await store.end(lease, JobState.SUCCEEDED)

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        tasks = {group.create_task(work(lease)) for lease in leases}
        cancelled = {lease.job_id for lease in leases[10::7]}
        await asyncio.sleep(0.05)
        for job_id in cancelled & set(await waiters(redis, breaker)):
            await store.cancel(job_id)
        while len(set(begun) | cancelled) < 60:
            for job_id in await bells(redis):
                if (await store.news(job_id))[0] is JobState.QUEUED:
                    tasks.add(group.create_task(work(await claimed(store, job_id))))
            await asyncio.sleep(0.002)
    assert len(begun) == len(set(begun))
    assert await waiters(redis, breaker) == []


# What is left in Redis


async def test_all_keys_end_by_themselves_and_name_no_secret(
    breaker: CircuitBreaker, store: JobStore, redis: Redis
) -> None:
    lease = await running(store)
    for number in range(3):
        assert await enter(breaker, lease, number) is None
    await open_breaker(breaker, store)
    await refused(breaker, lease)
    keys = sorted(str(key) for key in await redis.keys("darkroom:gate:*"))
    way = f"darkroom:gate:{breaker.name}:{breaker.model}"
    owners = [key for key in keys if re.fullmatch(f"{way}:[0-9a-f]{{20}}", key)]
    assert len(owners) == 5
    assert [key for key in owners if await redis.pttl(key) > 3_600_000] == []
    expected = [f"darkroom:gate:{breaker.name}", f"darkroom:gate:{breaker.name}:calls", way, f"{way}:waiters"]
    assert [key for key in keys if key not in owners] == sorted(expected)
    assert [key for key in keys if not 0 < await redis.pttl(key) <= 86_400_000] == []
    assert "canary" not in " ".join(keys)


@pytest.mark.real_redis
async def test_calls_come_and_go_while_redis_is_full(redis_server: RealRedis) -> None:
    async with open_redis(redis_server.url) as redis:
        await redis.flushall()
        store = JobStore(redis, Doorbell(), retention_s=3600)
        breaker = breaker_to(store, limit=1)
        lease = await running(store)
        other = await running(store)
        await redis.config_set("maxmemory-policy", "noeviction")
        await redis.config_set("maxmemory", 1)
        try:
            assert await enter(breaker, lease) is None
            blocked = await refused(breaker, other)
            await store.release(other, wait_s=blocked.wait_s, at_breaker=True)
            await breaker.leave(lease, 0, CallOutcome.GOOD)
            assert other.job_id in await bells(redis)
            await call(breaker, await claimed(store, other.job_id), CallOutcome.KEY)
            await refused(breaker, lease)
        finally:
            await redis.config_set("maxmemory", 0)
