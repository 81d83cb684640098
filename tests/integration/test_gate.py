"""Conformance of the gate, on fakeredis and on a real Redis: breaker, limit, and who is woken when."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from job_records import new_job
from real_redis import RealRedis
from redis.asyncio import Redis

from contract.doorbell import Doorbell
from contract.job import JobState
from contract.scripts import open_redis
from contract.store import JobStore, Lease, LeaseLost
from worker.gate import GRACE_S, Closed, Gate, Gates, Verdict

OPEN_S = 10.0
MOST_S = 60.0
ANSWERS = (Verdict.GOOD, Verdict.NEUTRAL, Verdict.THROTTLED)
NUMBERS = itertools.count()


def gate_to(store: JobStore, *, limit: int | None = None, key: str = "canary-key", open_s: float = OPEN_S) -> Gate:
    return Gates(store, limit=limit, open_s=open_s).to("openrouter", key)


@pytest.fixture
def gate(store: JobStore) -> Gate:
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


async def enter(gate: Gate, lease: Lease, number: int = 0) -> Closed | None:
    return await gate.enter(lease, number, most_s=MOST_S)


async def call(gate: Gate, lease: Lease, *verdicts: Verdict, code: str = "provider_down") -> None:
    """Make calls one after another; each must be let through."""
    for verdict in verdicts:
        number = next(NUMBERS)
        assert await enter(gate, lease, number) is None
        await gate.leave(lease, number, verdict, code=code)


async def refused(gate: Gate, lease: Lease, number: int = 99) -> Closed:
    closed = await enter(gate, lease, number)
    assert closed is not None
    return closed


async def waiter(store: JobStore, gate: Gate, *, owner: str = "ann") -> str:
    """A job that was refused and has given its slot back."""
    lease = await running(store, owner=owner)
    closed = await refused(gate, lease)
    await store.release(lease, wait_s=closed.wait_s, at_gate=True)
    return lease.job_id


async def open_breaker(gate: Gate, lease: Lease) -> None:
    await call(gate, lease, *[Verdict.BAD] * 5)


async def let_time_pass(redis: Redis, gate: Gate) -> None:
    """End the time for which the breaker is open."""
    await redis.hset(f"darkroom:gate:{gate.name}", "open_until", "1")


async def open_for_s(redis: Redis, gate: Gate) -> float:
    """Tell how long the breaker stays open."""
    until = await redis.hget(f"darkroom:gate:{gate.name}", "open_until")
    seconds, micros = await redis.time()
    return float(until or 0) / 1000 - seconds - micros / 1e6


async def learned(redis: Redis, gate: Gate) -> int | None:
    found = await redis.hget(f"darkroom:gate:{gate.name}", "learned")
    return None if found is None else int(found)


async def waiters(redis: Redis, gate: Gate) -> list[str]:
    return [str(job_id) for job_id in await redis.zrange(f"darkroom:gate:{gate.name}:waiters", 0, -1)]


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


async def test_five_bad_calls_in_a_row_close_the_gate(gate: Gate, lease: Lease, redis: Redis) -> None:
    await call(gate, lease, *[Verdict.BAD] * 4)
    await call(gate, lease, Verdict.BAD, code="provider_timeout")
    waits = [await refused(gate, lease, number) for number in range(20)]
    assert {closed.code for closed in waits} == {"provider_timeout"}
    assert all(OPEN_S - 1 < closed.wait_s <= 2 * OPEN_S for closed in waits)
    assert len({closed.wait_s for closed in waits}) == 20  # they do not come back in the same instant
    assert OPEN_S - 1 < await open_for_s(redis, gate) <= OPEN_S


@pytest.mark.parametrize("answer", ANSWERS)
async def test_a_provider_that_answers_in_between_is_not_down(gate: Gate, lease: Lease, answer: Verdict) -> None:
    for _ in range(4):
        await call(gate, lease, *[Verdict.BAD] * 4, answer)
    await call(gate, lease, *[Verdict.BAD] * 4, Verdict.UNKNOWN)
    assert await enter(gate, lease) is None


async def test_flapping_and_random_errors_do_not_close_the_gate(gate: Gate, lease: Lease) -> None:
    await call(gate, lease, *[Verdict.GOOD, Verdict.BAD] * 20)
    dice = random.Random(5)
    await call(gate, lease, *[Verdict.BAD if dice.random() < 0.3 else Verdict.GOOD for _ in range(60)])


async def test_calls_that_were_given_up_say_nothing(gate: Gate, lease: Lease) -> None:
    await call(gate, lease, *[Verdict.BAD] * 4, *[Verdict.UNKNOWN] * 9, Verdict.BAD)
    assert (await refused(gate, lease)).code == "provider_down"


async def test_a_rejected_key_closes_the_gate_at_once(gate: Gate, lease: Lease, redis: Redis, store: JobStore) -> None:
    await call(gate, lease, Verdict.KEY, code="provider_auth")
    closed = await refused(gate, lease)
    assert closed.code == "provider_auth"
    assert 4 * OPEN_S - 1 < closed.wait_s <= 5 * OPEN_S
    assert await enter(gate_to(store, key="another"), lease) is None
    await let_time_pass(redis, gate)
    await call(gate, lease, Verdict.KEY, code="provider_auth")
    assert 4 * OPEN_S - 1 < await open_for_s(redis, gate) <= 4 * OPEN_S
    await let_time_pass(redis, gate)
    await call(gate, lease, Verdict.GOOD, Verdict.GOOD)


async def test_one_call_of_fifty_is_the_probe(gate: Gate, lease: Lease, redis: Redis) -> None:
    await open_breaker(gate, lease)
    await let_time_pass(redis, gate)
    answers = await asyncio.gather(*(enter(gate, lease, number) for number in range(50)))
    assert answers.count(None) == 1
    await let_time_pass(redis, gate)  # it takes longer than the breaker was open
    assert all(await asyncio.gather(*(enter(gate, lease, number) for number in range(50, 99))))
    assert (await refused(gate, lease)).code == "provider_down"


async def test_the_gate_opens_by_itself_for_a_probe(store: JobStore, lease: Lease) -> None:
    gate = gate_to(store, open_s=0.2)
    await open_breaker(gate, lease)
    await asyncio.sleep((await refused(gate, lease)).wait_s)
    assert await enter(gate, lease) is None


@pytest.mark.parametrize("answer", ANSWERS)
async def test_a_probe_that_is_answered_opens_the_gate(gate: Gate, lease: Lease, redis: Redis, answer: Verdict) -> None:
    await open_breaker(gate, lease)
    await let_time_pass(redis, gate)
    await call(gate, lease, answer, *[Verdict.BAD] * 4, Verdict.GOOD)


async def test_a_bad_probe_closes_it_for_twice_as_long_and_never_longer(gate: Gate, lease: Lease, redis: Redis) -> None:
    await open_breaker(gate, lease)
    for _ in range(3):
        await let_time_pass(redis, gate)
        await call(gate, lease, Verdict.BAD, code="provider_timeout")
        assert 2 * OPEN_S - 1 < await open_for_s(redis, gate) <= 2 * OPEN_S
    assert (await refused(gate, lease)).code == "provider_timeout"


async def test_a_probe_that_was_given_up_makes_way_for_the_next(gate: Gate, lease: Lease, redis: Redis) -> None:
    await open_breaker(gate, lease)
    await let_time_pass(redis, gate)
    await call(gate, lease, Verdict.UNKNOWN)
    assert await open_for_s(redis, gate) > OPEN_S - 1  # one probe in that time, also when users cancel
    await refused(gate, lease)
    await let_time_pass(redis, gate)
    await call(gate, lease, Verdict.GOOD)


async def test_a_killed_probe_makes_way_for_the_next(gate: Gate, lease: Lease, store: JobStore, redis: Redis) -> None:
    other = await running(store)
    await open_breaker(gate, lease)
    await let_time_pass(redis, gate)
    assert await enter(gate, lease) is None
    await let_time_pass(redis, gate)
    await refused(gate, other)
    await crash(store, redis, lease)
    assert await enter(gate, other) is None
    await refused(gate, await claimed(store, lease.job_id))
    await gate.leave(lease, 0, Verdict.KEY, code="provider_auth")  # a paused worker's: it is not the probe any more
    assert await open_for_s(redis, gate) <= OPEN_S
    await let_time_pass(redis, gate)
    assert (await refused(gate, await running(store))).code == "provider_down"


async def test_a_probe_has_its_time(gate: Gate, lease: Lease, redis: Redis) -> None:
    await open_breaker(gate, lease)
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
async def test_a_late_sign_of_life_lets_a_probe_go_at_once(gate: Gate, lease: Lease, answer: Verdict) -> None:
    assert await enter(gate, lease, 1) is None
    await open_breaker(gate, lease)
    await gate.leave(lease, 1, answer)
    assert await enter(gate, lease, 2) is None
    await refused(gate, lease, 3)  # one, and no more: it was begun before the provider failed


async def test_a_late_sign_of_life_does_not_stand_for_the_probe(gate: Gate, lease: Lease, redis: Redis) -> None:
    assert await enter(gate, lease, 1) is None
    await open_breaker(gate, lease)
    await let_time_pass(redis, gate)
    assert await enter(gate, lease, 2) is None
    await gate.leave(lease, 1, Verdict.GOOD)
    await refused(gate, lease, 3)
    await gate.leave(lease, 2, Verdict.BAD, code="provider_down")
    assert await open_for_s(redis, gate) > OPEN_S


async def test_late_failures_change_nothing(gate: Gate, lease: Lease, redis: Redis) -> None:
    for number in range(20):
        assert await enter(gate, lease, number) is None
    await open_breaker(gate, lease)
    before = await open_for_s(redis, gate)
    for number in range(10):
        await gate.leave(lease, number, Verdict.KEY if number % 2 else Verdict.BAD, code="provider_timeout")
    assert await open_for_s(redis, gate) <= before
    assert (await refused(gate, lease)).code == "provider_down"
    await let_time_pass(redis, gate)
    await call(gate, lease, Verdict.GOOD)
    for number in range(10, 20):  # also when the provider is back: they were begun before
        await gate.leave(lease, number, Verdict.BAD, code="provider_timeout")
    await call(gate, lease, *[Verdict.BAD] * 4)
    assert await enter(gate, lease) is None


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
                await gate.leave(lease, number, Verdict.BAD, code="provider_unreachable")
    assert 5 + 3 <= calls <= 5 + (time.monotonic() - begun) / 0.15


# The limit


async def test_no_more_calls_than_the_limit(store: JobStore, lease: Lease, redis: Redis) -> None:
    gate = gate_to(store, limit=2)
    await open_breaker(gate, lease)
    await let_time_pass(redis, gate)
    await call(gate, lease, Verdict.GOOD)
    answers = await asyncio.gather(*(enter(gate, lease, number) for number in range(10)))
    assert answers.count(None) == 2
    closed = next(answer for answer in answers if answer)
    assert closed.code == ""  # what closed it once is forgotten
    assert 15 <= closed.wait_s <= 15 + OPEN_S


@pytest.mark.parametrize("verdict", Verdict)
async def test_whoever_leaves_makes_room(store: JobStore, lease: Lease, verdict: Verdict) -> None:
    gate = gate_to(store, limit=2)
    assert await enter(gate, lease, 0) is await enter(gate, lease, 1) is None
    await refused(gate, lease, 2)
    await gate.leave(lease, 0, verdict, code="provider_auth")
    assert (await enter(gate, lease, 2) is None) is (verdict not in (Verdict.KEY, Verdict.THROTTLED))


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
        await gate.leave(lease, 0, Verdict.BAD, code="provider_down")  # too late: the place is another's
        await refused(gate, await running(store))
        await gate.leave(other, 0, Verdict.GOOD)


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


async def test_a_probe_that_enters_again_is_still_the_probe(gate: Gate, lease: Lease, redis: Redis) -> None:
    await open_breaker(gate, lease)
    await let_time_pass(redis, gate)
    assert await enter(gate, lease, 1) is await enter(gate, lease, 1) is None
    await gate.leave(lease, 1, Verdict.GOOD)
    await call(gate, lease, Verdict.GOOD)


async def test_leaving_again_changes_nothing(gate: Gate, lease: Lease, redis: Redis) -> None:
    assert await enter(gate, lease, 1) is None
    for _ in range(9):
        await gate.leave(lease, 1, Verdict.BAD, code="provider_down")
    await gate.leave(lease, 1, Verdict.KEY, code="provider_auth")
    await gate.leave(lease, 1, Verdict.THROTTLED)
    assert await redis.hgetall(f"darkroom:gate:{gate.name}") == {"bad": "1"}


async def test_nobody_enters_with_an_old_fence(gate: Gate, lease: Lease, store: JobStore, redis: Redis) -> None:
    await store.release(lease)
    await claimed(store, lease.job_id)
    with pytest.raises(LeaseLost):
        await enter(gate, lease)
    assert await redis.keys("darkroom:gate:*") == []


# What throttling teaches


async def throttled(gate: Gate, lease: Lease, calls: int) -> None:
    """Have one of so many calls throttled, and the others given up."""
    numbers = [next(NUMBERS) for _ in range(calls)]
    for number in numbers:
        assert await enter(gate, lease, number) is None
    await gate.leave(lease, numbers[0], Verdict.THROTTLED)
    for number in numbers[1:]:
        await gate.leave(lease, number, Verdict.UNKNOWN)


@pytest.mark.parametrize(("calls", "limit"), [(1, 1), (2, 1), (3, 1), (8, 4), (9, 4)])
async def test_throttling_halves_the_calls(gate: Gate, lease: Lease, redis: Redis, calls: int, limit: int) -> None:
    await throttled(gate, lease, calls)
    answers = await asyncio.gather(*(enter(gate, lease, 10_000 + number) for number in range(10)))
    assert answers.count(None) == await learned(redis, gate) == limit


async def test_the_learned_limit_grows_with_each_round_of_good_calls(gate: Gate, lease: Lease, redis: Redis) -> None:
    await throttled(gate, lease, 4)
    limits = []
    for _ in range(9):
        await call(gate, lease, Verdict.GOOD, Verdict.NEUTRAL, Verdict.BAD)
        limits.append(await learned(redis, gate))
    assert limits == [2, 3, 3, 3, 4, 4, 4, 4, 5]


async def test_a_round_of_good_calls_begins_anew_with_throttling(gate: Gate, lease: Lease, redis: Redis) -> None:
    await throttled(gate, lease, 8)
    await call(gate, lease, *[Verdict.GOOD] * 3)
    await redis.hincrby(f"darkroom:gate:{gate.name}", "throttled_at", -1001)
    await throttled(gate, lease, 4)
    await call(gate, lease, Verdict.GOOD)
    assert await learned(redis, gate) == 2


async def test_calls_that_are_throttled_together_halve_once(gate: Gate, lease: Lease, redis: Redis) -> None:
    numbers = [next(NUMBERS) for _ in range(10)]
    for number in numbers:
        assert await enter(gate, lease, number) is None
    for number in numbers:
        await gate.leave(lease, number, Verdict.THROTTLED)
    assert await learned(redis, gate) == 5


async def test_the_learned_limit_is_forgotten(gate: Gate, lease: Lease, redis: Redis) -> None:
    await throttled(gate, lease, 2)
    await redis.hset(f"darkroom:gate:{gate.name}", mapping={"learned": "63", "good": "62"})
    await call(gate, lease, Verdict.GOOD)
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
    await gate.leave(lease, 0, Verdict.THROTTLED)
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
        await gate.leave(lease, 0, Verdict.GOOD)
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
    gate: Gate, store: JobStore, lease: Lease, redis: Redis
) -> None:
    await open_breaker(gate, lease)
    ids = []
    for number in range(20):
        ids.append(await waiter(store, gate, owner=f"owner-{number}"))
        await asyncio.sleep(0.002)
    await bells(redis)
    await let_time_pass(redis, gate)
    assert await enter(gate, lease) is None
    assert await bells(redis) == []
    await gate.leave(lease, 0, Verdict.GOOD)
    assert await bells(redis) == ids
    for job_id in ids:
        assert await enter(gate, await claimed(store, job_id)) is None


async def test_nobody_is_woken_while_the_breaker_is_open_or_a_probe_under_way(
    gate: Gate, store: JobStore, lease: Lease, redis: Redis
) -> None:
    for number in (1, 2, 3):
        assert await enter(gate, lease, number) is None
    await open_breaker(gate, lease)
    job_id = await waiter(store, gate)
    await bells(redis)
    await gate.leave(lease, 1, Verdict.BAD, code="provider_down")
    await gate.leave(lease, 2, Verdict.UNKNOWN)
    await let_time_pass(redis, gate)
    assert await enter(gate, lease, 4) is None
    await gate.leave(lease, 3, Verdict.GOOD)
    assert await bells(redis) == []
    await gate.leave(lease, 4, Verdict.UNKNOWN)  # it took longer than the breaker was open: the next may probe
    assert await bells(redis) == [job_id]


async def test_one_is_woken_to_probe(gate: Gate, store: JobStore, lease: Lease, redis: Redis) -> None:
    assert await enter(gate, lease, 1) is None
    await open_breaker(gate, lease)
    ids = [await waiter(store, gate) for _ in range(3)]
    await bells(redis)
    await gate.leave(lease, 1, Verdict.GOOD)
    assert await bells(redis) == ids[:1]


async def test_a_hundred_are_woken_in_one_go(gate: Gate, store: JobStore, lease: Lease, redis: Redis) -> None:
    await open_breaker(gate, lease)
    ids = [await waiter(store, gate, owner=f"owner-{number}") for number in range(120)]
    await bells(redis)
    await let_time_pass(redis, gate)
    await call(gate, lease, Verdict.GOOD)
    assert len(await bells(redis)) == 100
    await call(gate, lease, Verdict.GOOD)
    assert len(await bells(redis)) == 20
    assert len(ids) == 120


async def test_a_waiter_that_is_over_is_passed_by(store: JobStore, lease: Lease, redis: Redis) -> None:
    gate = gate_to(store, limit=1)
    assert await enter(gate, lease) is None
    cancelled, forgotten, last = [await waiter(store, gate) for _ in range(3)]
    await bells(redis)
    await store.cancel(cancelled)
    await redis.delete(f"darkroom:job:{forgotten}")
    await gate.leave(lease, 0, Verdict.GOOD)
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
    await gate.leave(lease, 0, Verdict.GOOD)
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
    await gate.leave(lease, 0, Verdict.GOOD)
    assert await enter(gate, lease, 1) is None
    closed = await refused(gate, other, 2)
    await bells(redis)
    await store.release(other, wait_s=closed.wait_s, at_gate=True)
    assert await bells(redis) == []
    await gate.leave(lease, 1, Verdict.GOOD)
    assert await bells(redis) == [other.job_id]


async def test_a_job_that_waits_for_something_else_is_left_alone(store: JobStore, lease: Lease, redis: Redis) -> None:
    gate = gate_to(store, limit=1)
    assert await enter(gate, lease) is None
    early, late = await running(store), await running(store)
    for job in (early, late):
        await refused(gate, job)
    await bells(redis)
    await store.release(early, wait_s=30)  # as its provider asked
    await gate.leave(lease, 0, Verdict.GOOD)
    await store.release(late, wait_s=30)
    assert await bells(redis) == []
    assert {str(job_id) for job_id in await redis.zrange("darkroom:waiting", 0, -1)} == {early.job_id, late.job_id}


async def test_a_place_is_kept_for_a_job_that_was_woken(store: JobStore, lease: Lease, redis: Redis) -> None:
    gate = gate_to(store, limit=1)
    assert await enter(gate, lease) is None
    job_id = await waiter(store, gate)
    await gate.leave(lease, 0, Verdict.GOOD)
    await refused(gate, lease, 1)  # it may not push in
    woken = await claimed(store, job_id)
    assert await enter(gate, woken) is None
    await refused(gate, woken, 1)  # one place, not two
    await gate.leave(woken, 0, Verdict.GOOD)
    assert await waiters(redis, gate) == []  # both still have their slots: they are told as they give them back
    assert await enter(gate, lease, 2) is None


async def test_a_kept_place_has_its_time(store: JobStore, lease: Lease, redis: Redis) -> None:
    gate = gate_to(store, limit=1)
    assert await enter(gate, lease) is None
    job_id = await waiter(store, gate)
    await gate.leave(lease, 0, Verdict.GOOD)
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
        await gate.leave(lease, 0, Verdict.GOOD)
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
        await gate.leave(lease, 0, dice.choice([Verdict.GOOD, Verdict.NEUTRAL, Verdict.UNKNOWN]))
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


async def test_all_keys_end_by_themselves_and_name_no_secret(gate: Gate, store: JobStore, redis: Redis) -> None:
    lease = await running(store)
    for number in range(3):
        assert await enter(gate, lease, number) is None
    await open_breaker(gate, lease)
    await refused(gate, lease)
    keys = sorted(str(key) for key in await redis.keys("darkroom:gate:*"))
    assert keys == [f"darkroom:gate:{gate.name}{part}" for part in ("", ":calls", ":late", ":waiters")]
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
            await gate.leave(lease, 0, Verdict.GOOD)
            assert other.job_id in await bells(redis)
            await call(gate, await claimed(store, other.job_id), Verdict.KEY)
            await refused(gate, lease)
        finally:
            await redis.config_set("maxmemory", 0)
