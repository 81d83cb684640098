"""Conformance of the gate, on fakeredis and on a real Redis: breaker, limit, and who is woken when."""

from __future__ import annotations

import asyncio
import itertools
import json
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
from tests.support.factories.jobs import new_job
from tests.support.stack.redis_server import RealRedis
from worker.policy.circuit_breaker import GRACE_S, Blocked, CallOutcome, CircuitBreaker, CircuitBreakers

OPEN_S = 10.0
MOST_S = 60.0
ANSWERS = (CallOutcome.GOOD, CallOutcome.NEUTRAL, CallOutcome.THROTTLED)
NUMBERS = itertools.count()


def gate_to(
    store: JobStore, *, limit: int | None = None, key: str = "canary-key", open_s: float = OPEN_S, model: str = "a/b"
) -> CircuitBreaker:
    return CircuitBreakers(store, limit=limit, open_s=open_s).to("openrouter", key, model)


@pytest.fixture
def gate(store: JobStore) -> CircuitBreaker:
    """A gate without a limit."""
    return gate_to(store)


@pytest.fixture
async def lease(store: JobStore) -> Lease:
    """A job that makes calls."""
    return await running(store)


async def running(store: JobStore, *, owner: str = "ann") -> Lease:
    job_id, _ = await store.submit(new_job(owner=owner))
    return await claimed(store, job_id)


async def claimed(store: JobStore, job_id: str) -> Lease:
    lease = await store.claim(job_id, worker="w1", lease_s=15)
    assert lease is not None
    return lease


async def enter(gate: CircuitBreaker, lease: Lease, number: int = 0) -> Blocked | None:
    return await gate.enter(lease, number, most_s=MOST_S)


async def call(gate: CircuitBreaker, lease: Lease, *verdicts: CallOutcome, code: str = "provider_down") -> None:
    """Make calls one after another; each must be let through."""
    for verdict in verdicts:
        number = next(NUMBERS)
        assert await enter(gate, lease, number) is None
        await gate.leave(lease, number, verdict, code=code)


async def refused(gate: CircuitBreaker, lease: Lease, number: int = 99) -> Blocked:
    closed = await enter(gate, lease, number)
    assert closed is not None
    return closed


async def waiter(store: JobStore, gate: CircuitBreaker, *, owner: str = "ann") -> str:
    """A job that was refused and has given its slot back."""
    lease = await running(store, owner=owner)
    closed = await refused(gate, lease)
    await store.release(lease, wait_s=closed.wait_s, at_gate=True)
    return lease.job_id


async def fail(gate: CircuitBreaker, store: JobStore, times: int, *, code: str = "provider_down") -> None:
    """Have calls fail, each that of another owner."""
    for _ in range(times):
        await call(gate, await running(store, owner=f"stranger-{next(NUMBERS)}"), CallOutcome.BAD, code=code)


async def open_breaker(gate: CircuitBreaker, store: JobStore) -> None:
    await fail(gate, store, 5)


async def open_breakers(redis: Redis, gate: CircuitBreaker) -> dict[str, float]:
    """Find the breakers that are open, or were and wait for their probe, and until when."""
    keys = [str(key) for key in await redis.keys(f"darkroom:gate:{gate.name}*")]
    hashes = [key for key in keys if await redis.type(key) == "hash"]
    return {key: float(until) for key in hashes if (until := await redis.hget(key, "open_until"))}


async def let_time_pass(redis: Redis, gate: CircuitBreaker) -> None:
    """End the time for which breakers are open."""
    for key in await open_breakers(redis, gate):
        await redis.hset(key, "open_until", "1")


async def open_for_s(redis: Redis, gate: CircuitBreaker) -> float:
    """Tell how long the breaker stays open."""
    until = max((await open_breakers(redis, gate)).values(), default=0)
    seconds, micros = await redis.time()
    return until / 1000 - seconds - micros / 1e6


async def learned(redis: Redis, gate: CircuitBreaker) -> int | None:
    found = await redis.hget(f"darkroom:gate:{gate.name}", "learned")
    return None if found is None else int(found)


async def waiters(redis: Redis, gate: CircuitBreaker) -> list[str]:
    lists = (f"darkroom:gate:{gate.name}:waiters", f"darkroom:gate:{gate.name}:{gate.model}:waiters")
    return [str(job_id) for name in lists for job_id in await redis.zrange(name, 0, -1)]


async def crash(store: JobStore, redis: Redis, lease: Lease) -> None:
    """End a job's lease without its worker."""
    await redis.zadd("darkroom:running", {lease.job_id: 1})
    await store.sweep("w1", patience_s=0, lock_s=5, bell_s=60)


async def bells(redis: Redis) -> list[str]:
    """Take all bells, in the order workers would."""
    found = []
    for priority in range(10):
        key = "darkroom:bells" if priority == 0 else f"darkroom:bells:{priority}"
        while message := await redis.rpop(key):
            found.append(json.loads(str(message))["headers"]["id"])
    return found


# The breaker


async def test_five_bad_calls_in_a_row_close_the_gate(
    store: JobStore, gate: CircuitBreaker, lease: Lease, redis: Redis
) -> None:
    await fail(gate, store, 4)
    await fail(gate, store, 1, code="provider_timeout")
    waits = [await refused(gate, lease, number) for number in range(20)]
    assert {closed.code for closed in waits} == {"provider_timeout"}
    assert all(OPEN_S - 1 < closed.wait_s <= 2 * OPEN_S for closed in waits)
    assert len({closed.wait_s for closed in waits}) == 20  # they do not come back in the same instant
    assert OPEN_S - 1 < await open_for_s(redis, gate) <= OPEN_S


@pytest.mark.parametrize("answer", ANSWERS)
async def test_a_provider_that_answers_in_between_is_not_down(
    store: JobStore, gate: CircuitBreaker, lease: Lease, answer: CallOutcome
) -> None:
    for _ in range(4):
        await fail(gate, store, 4)
        await call(gate, lease, answer)
    await fail(gate, store, 4)
    await call(gate, lease, CallOutcome.UNKNOWN)
    assert await enter(gate, lease) is None


async def test_flapping_and_random_errors_do_not_close_the_gate(
    store: JobStore, gate: CircuitBreaker, lease: Lease
) -> None:
    dice = random.Random(5)
    for is_bad in [*[False, True] * 20, *(dice.random() < 0.3 for _ in range(60))]:
        await (fail(gate, store, 1) if is_bad else call(gate, lease, CallOutcome.GOOD))


async def test_calls_that_were_given_up_say_nothing(store: JobStore, gate: CircuitBreaker, lease: Lease) -> None:
    await fail(gate, store, 4)
    await call(gate, lease, *[CallOutcome.UNKNOWN] * 9)
    await fail(gate, store, 1)
    assert (await refused(gate, lease)).code == "provider_down"


async def test_a_rejected_key_closes_the_gate_at_once(
    gate: CircuitBreaker, lease: Lease, redis: Redis, store: JobStore
) -> None:
    await call(gate, lease, CallOutcome.KEY, code="provider_auth")
    closed = await refused(gate, lease)
    assert closed.code == "provider_auth"
    assert 4 * OPEN_S - 1 < closed.wait_s <= 5 * OPEN_S
    assert await enter(gate_to(store, key="another"), lease) is None
    await let_time_pass(redis, gate)
    await call(gate, lease, CallOutcome.KEY, code="provider_auth")
    assert 4 * OPEN_S - 1 < await open_for_s(redis, gate) <= 4 * OPEN_S
    await let_time_pass(redis, gate)
    await call(gate, lease, CallOutcome.GOOD, CallOutcome.GOOD)


async def test_one_call_of_fifty_is_the_probe(
    store: JobStore, gate: CircuitBreaker, lease: Lease, redis: Redis
) -> None:
    await open_breaker(gate, store)
    await let_time_pass(redis, gate)
    answers = await asyncio.gather(*(enter(gate, lease, number) for number in range(50)))
    assert answers.count(None) == 1
    await let_time_pass(redis, gate)  # it takes longer than the breaker was open
    assert all(await asyncio.gather(*(enter(gate, lease, number) for number in range(50, 99))))
    assert (await refused(gate, lease)).code == "provider_down"


async def test_the_gate_opens_by_itself_for_a_probe(store: JobStore, lease: Lease) -> None:
    gate = gate_to(store, open_s=0.2)
    await open_breaker(gate, store)
    await asyncio.sleep((await refused(gate, lease)).wait_s)
    assert await enter(gate, lease) is None


@pytest.mark.parametrize("answer", ANSWERS)
async def test_a_probe_that_is_answered_opens_the_gate(
    store: JobStore, gate: CircuitBreaker, lease: Lease, redis: Redis, answer: CallOutcome
) -> None:
    await open_breaker(gate, store)
    await let_time_pass(redis, gate)
    await call(gate, lease, answer)
    await fail(gate, store, 4)
    await call(gate, lease, CallOutcome.GOOD)


async def test_a_bad_probe_closes_it_for_twice_as_long_and_never_longer(
    store: JobStore, gate: CircuitBreaker, lease: Lease, redis: Redis
) -> None:
    await open_breaker(gate, store)
    for _ in range(3):
        await let_time_pass(redis, gate)
        await call(gate, lease, CallOutcome.BAD, code="provider_timeout")
        assert 2 * OPEN_S - 1 < await open_for_s(redis, gate) <= 2 * OPEN_S
    assert (await refused(gate, lease)).code == "provider_timeout"


async def test_a_probe_that_was_given_up_makes_way_for_the_next(
    store: JobStore, gate: CircuitBreaker, lease: Lease, redis: Redis
) -> None:
    await open_breaker(gate, store)
    await let_time_pass(redis, gate)
    await call(gate, lease, CallOutcome.UNKNOWN)
    assert await open_for_s(redis, gate) > OPEN_S - 1  # one probe in that time, also when users cancel
    await refused(gate, lease)
    await let_time_pass(redis, gate)
    await call(gate, lease, CallOutcome.GOOD)


async def test_a_killed_probe_makes_way_for_the_next(
    gate: CircuitBreaker, lease: Lease, store: JobStore, redis: Redis
) -> None:
    other = await running(store)
    await open_breaker(gate, store)
    await let_time_pass(redis, gate)
    assert await enter(gate, lease) is None
    await let_time_pass(redis, gate)
    await refused(gate, other)
    await crash(store, redis, lease)
    assert await enter(gate, other) is None
    await refused(gate, await claimed(store, lease.job_id))
    await gate.leave(
        lease, 0, CallOutcome.MODEL, code="provider_forbidden"
    )  # a paused worker's: it is not the probe any more
    assert await open_for_s(redis, gate) <= OPEN_S
    await let_time_pass(redis, gate)
    assert (await refused(gate, await running(store))).code == "provider_down"


async def test_a_probe_has_its_time(store: JobStore, gate: CircuitBreaker, lease: Lease, redis: Redis) -> None:
    await open_breaker(gate, store)
    await let_time_pass(redis, gate)
    assert await enter(gate, lease, 1) is None
    await let_time_pass(redis, gate)
    await refused(gate, lease, 2)
    score = await redis.zscore(f"darkroom:gate:{gate.name}:calls", f"{lease.job_id}:{lease.fence}:1")
    assert score is not None
    assert MOST_S + GRACE_S - 5 < float(score) / 1000 - (await redis.time())[0] < MOST_S + GRACE_S + 1
    await redis.zadd(f"darkroom:gate:{gate.name}:calls", {f"{lease.job_id}:{lease.fence}:1": 1})
    assert await enter(gate, lease, 2) is None


@pytest.mark.parametrize("answer", ANSWERS)
async def test_a_late_sign_of_life_lets_a_probe_go_at_once(
    store: JobStore, gate: CircuitBreaker, lease: Lease, answer: CallOutcome
) -> None:
    assert await enter(gate, lease, 1) is None
    await open_breaker(gate, store)
    await gate.leave(lease, 1, answer)
    assert await enter(gate, lease, 2) is None
    await refused(gate, lease, 3)  # one, and no more: it was begun before the provider failed


async def test_a_late_sign_of_life_does_not_stand_for_the_probe(
    store: JobStore, gate: CircuitBreaker, lease: Lease, redis: Redis
) -> None:
    assert await enter(gate, lease, 1) is None
    await open_breaker(gate, store)
    await let_time_pass(redis, gate)
    assert await enter(gate, lease, 2) is None
    await gate.leave(lease, 1, CallOutcome.GOOD)
    await refused(gate, lease, 3)
    await gate.leave(lease, 2, CallOutcome.BAD, code="provider_down")
    assert await open_for_s(redis, gate) > OPEN_S


async def test_late_failures_change_nothing(gate: CircuitBreaker, lease: Lease, store: JobStore, redis: Redis) -> None:
    late = [await running(store, owner=f"late-{number}") for number in range(20)]
    for each in late:
        assert await enter(gate, each) is None
    await open_breaker(gate, store)
    before = await open_for_s(redis, gate)
    for number, each in enumerate(late[:10]):
        await gate.leave(each, 0, CallOutcome.MODEL if number % 2 else CallOutcome.BAD, code="provider_timeout")
    assert await open_for_s(redis, gate) <= before
    assert (await refused(gate, lease)).code == "provider_down"
    await let_time_pass(redis, gate)
    await call(gate, lease, CallOutcome.GOOD)
    for each in late[10:]:  # also when the provider is back: they were begun before
        await gate.leave(each, 0, CallOutcome.BAD, code="provider_timeout")
    await fail(gate, store, 4)
    assert await enter(gate, lease) is None


async def test_a_late_answer_about_a_rejected_key_changes_nothing(
    gate: CircuitBreaker, lease: Lease, redis: Redis
) -> None:
    for number in range(3):
        assert await enter(gate, lease, number) is None
    await gate.leave(lease, 0, CallOutcome.KEY, code="provider_auth")
    before = await open_for_s(redis, gate)
    await gate.leave(lease, 1, CallOutcome.KEY, code="provider_tls_failed")
    await gate.leave(lease, 2, CallOutcome.BAD, code="provider_down")
    assert await open_for_s(redis, gate) <= before
    assert (await refused(gate, lease)).code == "provider_auth"


async def test_a_dead_provider_is_left_alone(store: JobStore, redis: Redis) -> None:
    gate = gate_to(store, open_s=0.15)
    leases = [await running(store, owner=f"owner-{number}") for number in range(50)]
    begun = time.monotonic()
    calls = 0
    while time.monotonic() - begun < 1.5:
        for lease in leases:
            number = next(NUMBERS)
            if await enter(gate, lease, number) is None:
                calls += 1
                await gate.leave(lease, number, CallOutcome.BAD, code="provider_unreachable")
    assert 5 + 3 <= calls <= 5 + (time.monotonic() - begun) / 0.15


# Whose failures count, and for whom


async def test_the_repeats_of_one_job_close_nothing(
    gate: CircuitBreaker, lease: Lease, store: JobStore, redis: Redis
) -> None:
    await call(gate, lease, *[CallOutcome.BAD] * 30)
    assert await open_breakers(redis, gate) == {}
    assert await enter(gate, lease) is await enter(gate_to(store, model="c/d"), lease, 1) is None


async def test_an_owner_s_failing_jobs_close_the_gate_to_that_owner_alone(
    gate: CircuitBreaker, store: JobStore
) -> None:
    for _ in range(2):
        await call(gate, await running(store), CallOutcome.BAD, CallOutcome.BAD)
    await call(gate, await running(store), CallOutcome.BAD)
    ann, bob = await running(store), await running(store, owner="bob")
    assert (await refused(gate, ann)).code == "provider_down"
    assert await enter(gate_to(store, model="c/d"), ann) is None
    assert await enter(gate, bob) is None


async def test_another_s_success_opens_it_again_and_wakes_who_waits(
    gate: CircuitBreaker, store: JobStore, redis: Redis
) -> None:
    for _ in range(5):
        await call(gate, await running(store), CallOutcome.BAD)
    job_id = await waiter(store, gate)
    cat, bob = await running(store, owner="cat"), await running(store, owner="bob")
    await bells(redis)
    await call(gate, cat, CallOutcome.BAD)  # that is no success
    assert await bells(redis) == []
    await call(gate, bob, CallOutcome.GOOD)
    assert await bells(redis) == [job_id]
    await call(gate, await claimed(store, job_id), *[CallOutcome.BAD] * 3)  # a new row
    assert await enter(gate, await running(store)) is None


@pytest.mark.parametrize(("owners", "is_open"), [(1, False), (2, False), (3, True), (5, True)])
async def test_failures_of_several_owners_close_the_gate_to_all(
    gate: CircuitBreaker, store: JobStore, owners: int, is_open: bool
) -> None:
    for number in range(5):
        await call(gate, await running(store, owner=f"owner-{number % owners}"), CallOutcome.BAD)
        if number == 3:
            assert await enter(gate, await running(store, owner="early"), 7) is None
    assert (await enter(gate, await running(store, owner="bob")) is not None) is is_open


async def test_what_concerns_a_model_closes_the_gate_to_that_model(
    gate: CircuitBreaker, store: JobStore, lease: Lease, redis: Redis
) -> None:
    other = gate_to(store, model="c/d")
    await call(gate, lease, CallOutcome.MODEL, code="provider_credits")
    closed = await refused(gate, await running(store, owner="bob"))
    assert closed.code == "provider_credits"
    assert 4 * OPEN_S - 1 < closed.wait_s <= 5 * OPEN_S
    await call(other, lease, CallOutcome.GOOD)
    await refused(gate, lease)  # the other one's success says nothing about it
    await let_time_pass(redis, gate)
    await call(gate, lease, CallOutcome.GOOD, CallOutcome.GOOD)
    await call(gate, lease, CallOutcome.KEY, code="provider_auth")
    assert (await refused(gate, lease)).code == (await refused(other, lease)).code == "provider_auth"


async def test_a_model_that_is_down_delays_no_other(gate: CircuitBreaker, store: JobStore, lease: Lease) -> None:
    await open_breaker(gate, store)
    await refused(gate, lease)
    await call(gate_to(store, model="c/d"), lease, CallOutcome.GOOD, CallOutcome.BAD, CallOutcome.GOOD)
    await refused(gate, lease)


async def test_who_waits_for_a_model_is_not_woken_by_another_one_s_success(
    gate: CircuitBreaker, store: JobStore, lease: Lease, redis: Redis
) -> None:
    await open_breaker(gate, store)
    await waiter(store, gate)
    await bells(redis)
    await call(gate_to(store, model="c/d"), lease, CallOutcome.GOOD)
    assert await bells(redis) == []


async def test_the_limit_of_calls_is_the_key_s(store: JobStore, lease: Lease) -> None:
    ways = [gate_to(store, limit=2, model=model) for model in ("a/b", "c/d", "e/f")]
    answers = [await enter(way, lease, number) for number, way in enumerate(ways)]
    assert [answer is None for answer in answers] == [True, True, False]
    await ways[0].leave(lease, 0, CallOutcome.BAD, code="provider_down")
    assert await enter(ways[2], lease, 2) is None


async def test_a_place_kept_for_a_job_whose_model_closed_meanwhile_goes_to_the_next(
    store: JobStore, lease: Lease, redis: Redis
) -> None:
    gate, other = gate_to(store, limit=1), gate_to(store, limit=1, model="c/d")
    assert await enter(other, lease) is None
    first = await waiter(store, gate, owner="bob")
    await asyncio.sleep(0.002)  # jobs of one millisecond have no order
    second = await waiter(store, other, owner="cat")
    await bells(redis)
    await other.leave(lease, 0, CallOutcome.GOOD)
    assert await bells(redis) == [first]
    await redis.hset(f"darkroom:gate:{gate.name}:{gate.model}", mapping={"open_until": "9e15", "code": "provider_down"})
    assert (await refused(gate, await claimed(store, first))).code == "provider_down"
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
    deeds: list[Deed], falters: bool, gate: CircuitBreaker, store: JobStore, redis: Redis
) -> None:
    leases: dict[str, Lease] = {"mine": await running(store)}
    await fail(gate, store, 1)  # before the job had begun
    await asyncio.sleep(0.005)
    seconds, micros = await redis.time()
    for owner, job, verdict in deeds:
        leases[job] = leases.get(job) or await running(store, owner=owner)
        await call(gate, leases[job], verdict)
    assert await enter(gate, leases["mine"]) is None
    since_ms = seconds * 1000 + micros / 1000
    assert await gate.leave(leases["mine"], 0, CallOutcome.BAD, code="provider_error", since_ms=since_ms) is falters


async def test_an_error_that_passed_by_itself_shows_for_minutes_that_the_provider_falters(
    gate: CircuitBreaker, store: JobStore, redis: Redis
) -> None:
    mine = await running(store)

    async def falters() -> bool:
        number = next(NUMBERS)
        assert await enter(gate, mine, number) is None
        return await gate.leave(mine, number, CallOutcome.BAD, code="provider_error", since_ms=9e15)

    assert not await falters()
    other = await running(store, owner="bob")
    assert await enter(gate, other) is None
    await gate.leave(other, 0, CallOutcome.GOOD, has_passed=True)
    assert await falters()
    seconds, _ = await redis.time()
    await redis.hset(f"darkroom:gate:{gate.name}:{gate.model}", "faltered_at", str((seconds - 301) * 1000))
    assert not await falters()


async def test_errors_that_each_job_meets_alone_close_nothing(
    gate: CircuitBreaker, store: JobStore, redis: Redis
) -> None:
    for _ in range(9):  # one after the other, and each makes its three calls
        lease = await running(store)
        await asyncio.sleep(0.003)
        seconds, micros = await redis.time()
        for number in range(3):
            assert await enter(gate, lease, number) is None
            since_ms = seconds * 1000 + micros / 1000
            await gate.leave(lease, number, CallOutcome.BAD, code="provider_error", since_ms=since_ms)
        await store.end(lease, JobState.FAILED)
    assert await open_breakers(redis, gate) == {}


# The limit


async def test_no_more_calls_than_the_limit(store: JobStore, lease: Lease, redis: Redis) -> None:
    gate = gate_to(store, limit=2)
    await open_breaker(gate, store)
    await let_time_pass(redis, gate)
    await call(gate, lease, CallOutcome.GOOD)
    answers = await asyncio.gather(*(enter(gate, lease, number) for number in range(10)))
    assert answers.count(None) == 2
    closed = next(answer for answer in answers if answer)
    assert closed.code == ""  # what closed it once is forgotten
    assert 15 <= closed.wait_s <= 15 + OPEN_S


@pytest.mark.parametrize("verdict", CallOutcome)
async def test_whoever_leaves_makes_room(store: JobStore, lease: Lease, verdict: CallOutcome) -> None:
    gate = gate_to(store, limit=2)
    assert await enter(gate, lease, 0) is await enter(gate, lease, 1) is None
    await refused(gate, lease, 2)
    await gate.leave(lease, 0, verdict, code="provider_auth")
    assert (await enter(gate, lease, 2) is None) is (
        verdict not in (CallOutcome.KEY, CallOutcome.MODEL, CallOutcome.THROTTLED)
    )


async def test_places_of_lost_leases_are_given_to_others(store: JobStore, redis: Redis) -> None:
    gate = gate_to(store, limit=1)
    endings: list[Callable[[Lease], Awaitable[object]]] = [
        lambda lease: store.cancel(lease.job_id),
        lambda lease: store.end(lease, JobState.SUCCEEDED),
        lambda lease: store.release(lease),
        lambda lease: crash(store, redis, lease),
    ]
    for ending in endings:
        lease, other = await running(store), await running(store)
        assert await enter(gate, lease) is None
        await refused(gate, other)
        await ending(lease)
        assert await enter(gate, other) is None
        await gate.leave(lease, 0, CallOutcome.BAD, code="provider_down")  # too late: the place is another's
        await refused(gate, await running(store))
        await gate.leave(other, 0, CallOutcome.GOOD)


async def test_a_job_that_is_claimed_again_gets_its_lost_place_back(store: JobStore, redis: Redis) -> None:
    gate = gate_to(store, limit=1)
    lease = await running(store)
    assert await enter(gate, lease) is None
    await crash(store, redis, lease)
    assert await enter(gate, await claimed(store, lease.job_id)) is None


async def test_a_place_has_its_time(store: JobStore, lease: Lease, redis: Redis) -> None:
    gate = gate_to(store, limit=1)
    assert await gate.enter(lease, 1, most_s=0.1 - GRACE_S) is None
    await refused(gate, lease, 2)
    await asyncio.sleep(0.12)
    assert await enter(gate, lease, 2) is None


async def test_entering_again_takes_no_second_place(store: JobStore, lease: Lease, redis: Redis) -> None:
    gate = gate_to(store, limit=2)
    for number in (1, 1, 1, 2, 2):
        assert await enter(gate, lease, number) is None
    assert await redis.zcard(f"darkroom:gate:{gate.name}:calls") == 2
    await refused(gate, lease, 3)


async def test_a_probe_that_enters_again_is_still_the_probe(
    store: JobStore, gate: CircuitBreaker, lease: Lease, redis: Redis
) -> None:
    await open_breaker(gate, store)
    await let_time_pass(redis, gate)
    assert await enter(gate, lease, 1) is await enter(gate, lease, 1) is None
    await gate.leave(lease, 1, CallOutcome.GOOD)
    await call(gate, lease, CallOutcome.GOOD)


async def test_leaving_again_changes_nothing(gate: CircuitBreaker, lease: Lease, redis: Redis) -> None:
    assert await enter(gate, lease, 1) is None
    for _ in range(9):
        await gate.leave(lease, 1, CallOutcome.BAD, code="provider_down")
    await gate.leave(lease, 1, CallOutcome.KEY, code="provider_auth")
    await gate.leave(lease, 1, CallOutcome.THROTTLED)
    rows = {str(key): await redis.hget(key, "row") for key in await redis.keys("darkroom:gate:*:*")}
    assert rows == {
        f"darkroom:gate:{gate.name}:{gate.model}": digest("ann"),
        f"darkroom:gate:{gate.name}:{gate.model}:{digest('ann')}": lease.job_id,
    }
    assert await redis.hgetall(f"darkroom:gate:{gate.name}") == {"tick": "3"}


async def test_nobody_enters_with_an_old_fence(
    gate: CircuitBreaker, lease: Lease, store: JobStore, redis: Redis
) -> None:
    await store.release(lease)
    await claimed(store, lease.job_id)
    with pytest.raises(LeaseLost):
        await enter(gate, lease)
    assert await redis.keys("darkroom:gate:*") == []


# What throttling teaches


async def throttled(gate: CircuitBreaker, lease: Lease, calls: int) -> None:
    """Have one of so many calls throttled, and the others given up."""
    numbers = [next(NUMBERS) for _ in range(calls)]
    for number in numbers:
        assert await enter(gate, lease, number) is None
    await gate.leave(lease, numbers[0], CallOutcome.THROTTLED)
    for number in numbers[1:]:
        await gate.leave(lease, number, CallOutcome.UNKNOWN)


@pytest.mark.parametrize(("calls", "limit"), [(1, 1), (2, 1), (3, 1), (8, 4), (9, 4)])
async def test_throttling_halves_the_calls(
    gate: CircuitBreaker, lease: Lease, redis: Redis, calls: int, limit: int
) -> None:
    await throttled(gate, lease, calls)
    answers = await asyncio.gather(*(enter(gate, lease, 10_000 + number) for number in range(10)))
    assert answers.count(None) == await learned(redis, gate) == limit


async def test_the_learned_limit_grows_with_each_round_of_good_calls(
    gate: CircuitBreaker, lease: Lease, redis: Redis
) -> None:
    await throttled(gate, lease, 4)
    limits = []
    for _ in range(9):
        await call(gate, lease, CallOutcome.GOOD, CallOutcome.NEUTRAL, CallOutcome.BAD)
        limits.append(await learned(redis, gate))
    assert limits == [2, 3, 3, 3, 4, 4, 4, 4, 5]


async def test_a_round_of_good_calls_begins_anew_with_throttling(
    gate: CircuitBreaker, lease: Lease, redis: Redis
) -> None:
    await throttled(gate, lease, 8)
    await call(gate, lease, *[CallOutcome.GOOD] * 3)
    await redis.hincrby(f"darkroom:gate:{gate.name}", "throttled_at", -1001)
    await throttled(gate, lease, 4)
    await call(gate, lease, CallOutcome.GOOD)
    assert await learned(redis, gate) == 2


async def test_calls_that_are_throttled_together_halve_once(gate: CircuitBreaker, lease: Lease, redis: Redis) -> None:
    numbers = [next(NUMBERS) for _ in range(10)]
    for number in numbers:
        assert await enter(gate, lease, number) is None
    for number in numbers:
        await gate.leave(lease, number, CallOutcome.THROTTLED)
    assert await learned(redis, gate) == 5


async def test_the_learned_limit_is_forgotten(gate: CircuitBreaker, lease: Lease, redis: Redis) -> None:
    await throttled(gate, lease, 2)
    await redis.hset(f"darkroom:gate:{gate.name}", mapping={"learned": "63", "good": "62"})
    await call(gate, lease, CallOutcome.GOOD)
    assert await learned(redis, gate) is None
    await throttled(gate, lease, 2)
    seconds, _ = await redis.time()
    await redis.hset(f"darkroom:gate:{gate.name}", "throttled_at", str((seconds - 599) * 1000))
    assert await enter(gate, lease, 1) is None
    await refused(gate, lease, 2)
    await redis.hset(f"darkroom:gate:{gate.name}", "throttled_at", str((seconds - 601) * 1000))
    assert await enter(gate, lease, 2) is None
    assert await learned(redis, gate) is None


async def test_the_smaller_limit_counts(store: JobStore, lease: Lease, redis: Redis) -> None:
    gate = gate_to(store, limit=4)
    await throttled(gate, lease, 4)
    assert (await asyncio.gather(*(enter(gate, lease, number) for number in range(9)))).count(None) == 2
    await redis.hset(f"darkroom:gate:{gate.name}", "learned", "50")
    assert (await asyncio.gather(*(enter(gate, lease, number) for number in range(9)))).count(None) == 4


async def test_nobody_is_sent_after_a_throttled_call(store: JobStore, lease: Lease, redis: Redis) -> None:
    gate = gate_to(store, limit=1)
    assert await enter(gate, lease) is None
    job_id = await waiter(store, gate)
    await gate.leave(lease, 0, CallOutcome.THROTTLED)
    assert await waiters(redis, gate) == [job_id]


# Who is woken when


async def test_waiters_are_woken_one_by_one_in_the_order_of_the_queue(
    store: JobStore, lease: Lease, redis: Redis
) -> None:
    gate = gate_to(store, limit=1)
    assert await enter(gate, lease) is None
    ids = []
    for number in range(20):
        ids.append(await waiter(store, gate, owner=f"owner-{number}"))
        await asyncio.sleep(0.002)  # jobs of one millisecond have no order
    await bells(redis)
    for job_id in ids:
        await gate.leave(lease, 0, CallOutcome.GOOD)
        assert await bells(redis) == [job_id]
        lease = await claimed(store, job_id)
        assert await enter(gate, lease) is None
    assert await waiters(redis, gate) == []


async def test_an_owner_with_many_jobs_is_woken_after_one_with_few(store: JobStore, redis: Redis) -> None:
    gate = gate_to(store, limit=1)
    lease = await running(store, owner="cat")
    assert await enter(gate, lease) is None
    anns = [await waiter(store, gate) for _ in range(3)]
    bobs = await waiter(store, gate, owner="bob")
    assert await waiters(redis, gate) == [anns[0], bobs, *anns[1:]]


async def test_all_are_woken_in_order_when_the_breaker_closes(
    gate: CircuitBreaker, store: JobStore, lease: Lease, redis: Redis
) -> None:
    await open_breaker(gate, store)
    ids = []
    for number in range(20):
        ids.append(await waiter(store, gate, owner=f"owner-{number}"))
        await asyncio.sleep(0.002)
    await bells(redis)
    await let_time_pass(redis, gate)
    assert await enter(gate, lease) is None
    assert await bells(redis) == []
    await gate.leave(lease, 0, CallOutcome.GOOD)
    assert await bells(redis) == ids
    for job_id in ids:
        assert await enter(gate, await claimed(store, job_id)) is None


async def test_nobody_is_woken_while_the_breaker_is_open_or_a_probe_under_way(
    gate: CircuitBreaker, store: JobStore, lease: Lease, redis: Redis
) -> None:
    for number in (1, 2, 3):
        assert await enter(gate, lease, number) is None
    await open_breaker(gate, store)
    job_id = await waiter(store, gate)
    await bells(redis)
    await gate.leave(lease, 1, CallOutcome.BAD, code="provider_down")
    await gate.leave(lease, 2, CallOutcome.UNKNOWN)
    await let_time_pass(redis, gate)
    assert await enter(gate, lease, 4) is None
    await gate.leave(lease, 3, CallOutcome.GOOD)
    assert await bells(redis) == []
    await gate.leave(lease, 4, CallOutcome.UNKNOWN)  # it took longer than the breaker was open: the next may probe
    assert await bells(redis) == [job_id]


async def test_one_is_woken_to_probe(gate: CircuitBreaker, store: JobStore, lease: Lease, redis: Redis) -> None:
    assert await enter(gate, lease, 1) is None
    await open_breaker(gate, store)
    ids = [await waiter(store, gate) for _ in range(3)]
    await bells(redis)
    await gate.leave(lease, 1, CallOutcome.GOOD)
    assert await bells(redis) == ids[:1]


async def test_a_hundred_are_woken_in_one_go(gate: CircuitBreaker, store: JobStore, lease: Lease, redis: Redis) -> None:
    await open_breaker(gate, store)
    ids = [await waiter(store, gate, owner=f"owner-{number}") for number in range(120)]
    await bells(redis)
    await let_time_pass(redis, gate)
    await call(gate, lease, CallOutcome.GOOD)
    assert len(await bells(redis)) == 100
    await call(gate, lease, CallOutcome.GOOD)
    assert len(await bells(redis)) == 20
    assert len(ids) == 120


async def test_a_waiter_that_is_over_is_passed_by(store: JobStore, lease: Lease, redis: Redis) -> None:
    gate = gate_to(store, limit=1)
    assert await enter(gate, lease) is None
    cancelled, forgotten, last = [await waiter(store, gate) for _ in range(3)]
    await bells(redis)
    await store.cancel(cancelled)
    await redis.delete(f"darkroom:job:{forgotten}")
    await gate.leave(lease, 0, CallOutcome.GOOD)
    assert await bells(redis) == [last]
    assert (await store.get(cancelled)).state is JobState.CANCELLED
    assert not await redis.exists(f"darkroom:job:{forgotten}")


async def test_a_waiter_that_still_has_its_slot_is_woken_as_it_gives_it_back(
    store: JobStore, lease: Lease, redis: Redis
) -> None:
    gate = gate_to(store, limit=1)
    assert await enter(gate, lease) is None
    slow = await running(store)
    wait_s = (await refused(gate, slow)).wait_s
    quick = await waiter(store, gate)
    await bells(redis)
    await gate.leave(lease, 0, CallOutcome.GOOD)
    assert await bells(redis) == [quick]  # the place is not kept for one who may be busy for long
    await store.release(slow, wait_s=wait_s, at_gate=True)
    assert await bells(redis) == [slow.job_id]
    again = await claimed(store, slow.job_id)
    await store.release(again, wait_s=wait_s, at_gate=True)  # it was woken once
    assert await bells(redis) == []


async def test_a_job_that_is_refused_again_is_not_woken_by_what_was(store: JobStore, redis: Redis) -> None:
    gate = gate_to(store, limit=1)
    lease, other = await running(store), await running(store)
    assert await enter(gate, lease) is None
    await refused(gate, other, 1)
    await gate.leave(lease, 0, CallOutcome.GOOD)
    assert await enter(gate, lease, 1) is None
    closed = await refused(gate, other, 2)
    await bells(redis)
    await store.release(other, wait_s=closed.wait_s, at_gate=True)
    assert await bells(redis) == []
    await gate.leave(lease, 1, CallOutcome.GOOD)
    assert await bells(redis) == [other.job_id]


async def test_a_job_that_waits_for_something_else_is_left_alone(store: JobStore, lease: Lease, redis: Redis) -> None:
    gate = gate_to(store, limit=1)
    assert await enter(gate, lease) is None
    early, late = await running(store), await running(store)
    for job in (early, late):
        await refused(gate, job)
    await bells(redis)
    await store.release(early, wait_s=30)  # as its provider asked
    await gate.leave(lease, 0, CallOutcome.GOOD)
    await store.release(late, wait_s=30)
    assert await bells(redis) == []
    assert {str(job_id) for job_id in await redis.zrange("darkroom:waiting", 0, -1)} == {early.job_id, late.job_id}


async def test_a_place_is_kept_for_a_job_that_was_woken(store: JobStore, lease: Lease, redis: Redis) -> None:
    gate = gate_to(store, limit=1)
    assert await enter(gate, lease) is None
    job_id = await waiter(store, gate)
    await gate.leave(lease, 0, CallOutcome.GOOD)
    await refused(gate, lease, 1)  # it may not push in
    woken = await claimed(store, job_id)
    assert await enter(gate, woken) is None
    await refused(gate, woken, 1)  # one place, not two
    await gate.leave(woken, 0, CallOutcome.GOOD)
    assert await waiters(redis, gate) == []  # both still have their slots: they are told as they give them back
    assert await enter(gate, lease, 2) is None


async def test_a_kept_place_has_its_time(store: JobStore, lease: Lease, redis: Redis) -> None:
    gate = gate_to(store, limit=1)
    assert await enter(gate, lease) is None
    job_id = await waiter(store, gate)
    await gate.leave(lease, 0, CallOutcome.GOOD)
    await redis.zadd(f"darkroom:gate:{gate.name}:calls", {job_id: 1}, xx=True)
    assert await enter(gate, lease, 1) is None


async def test_whoever_came_by_itself_waits_no_more(store: JobStore, lease: Lease, redis: Redis) -> None:
    gate = gate_to(store, limit=1)
    assert await enter(gate, lease) is None
    job_id = await waiter(store, gate)
    await store.cancel(lease.job_id)
    await redis.hset(f"darkroom:job:{job_id}", "not_before", "1")  # its time is over
    again = await claimed(store, job_id)
    assert await waiters(redis, gate) == [job_id]
    assert await enter(gate, again) is None
    assert await waiters(redis, gate) == []


async def test_a_lost_bell_of_a_woken_job_is_rung_by_the_sweeper(
    store: JobStore, lease: Lease, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = gate_to(store, limit=1)
    assert await enter(gate, lease) is None
    job_id = await waiter(store, gate)
    await bells(redis)
    with monkeypatch.context() as patch:
        patch.setattr(JobStore, "ring", lambda *_: asyncio.sleep(0))  # the worker dies between the two
        await gate.leave(lease, 0, CallOutcome.GOOD)
    assert await bells(redis) == []
    await store.sweep("w1", patience_s=60, lock_s=5, bell_s=60)
    assert await bells(redis) == [job_id]


async def test_no_waiter_is_forgotten_and_no_place_given_twice(store: JobStore, redis: Redis) -> None:
    """Sixty jobs, some of them cancelled, go through three places without anybody's wait coming to its end."""
    gate, dice = gate_to(store, limit=3), random.Random(7)
    leases = [await running(store, owner=f"owner-{number}") for number in range(60)]
    await bells(redis)
    begun: list[str] = []
    under_way: set[str] = set()

    async def work(lease: Lease) -> None:
        if closed := await enter(gate, lease):
            await asyncio.sleep(dice.random() / 50)
            with suppress(LeaseLost):  # it is one of those cancelled
                await store.release(lease, wait_s=closed.wait_s, at_gate=True)
            return
        begun.append(lease.job_id)
        under_way.add(lease.job_id)
        assert len(under_way) <= 3
        await asyncio.sleep(dice.random() / 50)
        under_way.remove(lease.job_id)
        await gate.leave(lease, 0, dice.choice([CallOutcome.GOOD, CallOutcome.NEUTRAL, CallOutcome.UNKNOWN]))
        await store.end(lease, JobState.SUCCEEDED)

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        tasks = {group.create_task(work(lease)) for lease in leases}
        cancelled = {lease.job_id for lease in leases[10::7]}
        await asyncio.sleep(0.05)
        for job_id in cancelled & set(await waiters(redis, gate)):
            await store.cancel(job_id)
        while len(set(begun) | cancelled) < 60:
            for job_id in await bells(redis):
                if (await store.news(job_id))[0] is JobState.QUEUED:
                    tasks.add(group.create_task(work(await claimed(store, job_id))))
            await asyncio.sleep(0.002)
    assert len(begun) == len(set(begun))
    assert await waiters(redis, gate) == []


# What is left in Redis


async def test_all_keys_end_by_themselves_and_name_no_secret(
    gate: CircuitBreaker, store: JobStore, redis: Redis
) -> None:
    lease = await running(store)
    for number in range(3):
        assert await enter(gate, lease, number) is None
    await open_breaker(gate, store)
    await refused(gate, lease)
    keys = sorted(str(key) for key in await redis.keys("darkroom:gate:*"))
    way = f"darkroom:gate:{gate.name}:{gate.model}"
    owners = [key for key in keys if re.fullmatch(f"{way}:[0-9a-f]{{20}}", key)]
    assert len(owners) == 5
    assert [key for key in owners if await redis.pttl(key) > 3_600_000] == []
    expected = [f"darkroom:gate:{gate.name}", f"darkroom:gate:{gate.name}:calls", way, f"{way}:waiters"]
    assert [key for key in keys if key not in owners] == sorted(expected)
    assert [key for key in keys if not 0 < await redis.pttl(key) <= 86_400_000] == []
    assert "canary" not in " ".join(keys)


@pytest.mark.real_redis
async def test_calls_come_and_go_while_redis_is_full(redis_server: RealRedis) -> None:
    async with open_redis(redis_server.url) as redis:
        await redis.flushall()
        store = JobStore(redis, Doorbell(), retention_s=3600)
        gate = gate_to(store, limit=1)
        lease = await running(store)
        other = await running(store)
        await redis.config_set("maxmemory-policy", "noeviction")
        await redis.config_set("maxmemory", 1)
        try:
            assert await enter(gate, lease) is None
            closed = await refused(gate, other)
            await store.release(other, wait_s=closed.wait_s, at_gate=True)
            await gate.leave(lease, 0, CallOutcome.GOOD)
            assert other.job_id in await bells(redis)
            await call(gate, await claimed(store, other.job_id), CallOutcome.KEY)
            await refused(gate, lease)
        finally:
            await redis.config_set("maxmemory", 0)
