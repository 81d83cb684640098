"""Circuit breakers as people see them: a line when one opens or closes, and a list of those that are open."""

from __future__ import annotations

import logging
from itertools import count

import pytest
from redis.asyncio import Redis

from contract.monitoring.open_breakers import Level, read_breakers
from contract.store.keys import BREAKERS
from contract.store.lease import Lease
from tests.support.factories.job_store import JobStore
from tests.support.store.table import running
from worker.policy.circuit_breaker import CallOutcome, CircuitBreaker, CircuitBreakers

KEY, MODEL, OPEN_S = "canary-key", "a/b", 10.0
NUMBERS = count()


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "worker.policy.breaker_log")
    return caplog


def told(log: pytest.LogCaptureFixture) -> list[str]:
    """List what was logged since the last time."""
    lines = [f"{record.levelname} {record.getMessage()}" for record in log.records]
    log.clear()
    assert "canary" not in " ".join(lines)
    return lines


def breaker_of(store: JobStore, *, model: str = MODEL, limit: int | None = None) -> CircuitBreaker:
    """The circuit breaker as another worker has it."""
    return CircuitBreakers(store, limit=limit, open_s=OPEN_S).to("openrouter", KEY, model)


async def job(store: JobStore, owner: str) -> Lease:
    return await running(store, owner=f"canary-{owner}")


async def call(breaker: CircuitBreaker, lease: Lease, outcome: CallOutcome, code: str = "provider_down") -> None:
    number = next(NUMBERS)
    assert await breaker.enter(lease, number, most_s=60) is None
    await breaker.leave(lease, number, outcome, code=code)


async def fail_for_all(store: JobStore, breaker: CircuitBreaker, code: str = "provider_down") -> None:
    """Have the calls of five owners fail."""
    for number in range(5):
        await call(breaker, await job(store, f"{number}"), CallOutcome.BAD, code)


async def fail_for_one(store: JobStore, breaker: CircuitBreaker, owner: str = "ann") -> None:
    """Have the calls of two jobs of an owner fail."""
    for times in (3, 2):
        lease = await job(store, owner)
        for _ in range(times):
            await call(breaker, lease, CallOutcome.BAD)


async def let_time_pass(redis: Redis) -> None:
    """End the time for which breakers are open, and have them been open for 90 s."""
    seconds, _ = await redis.time()
    for key in await redis.zrange(BREAKERS, 0, -1):
        await redis.hset(str(key), mapping={"open_until": "1", "since": f"{(seconds - 90) * 1000}"})


async def test_an_outage_is_a_line_and_its_end_is_one(
    store: JobStore, redis: Redis, log: pytest.LogCaptureFixture
) -> None:
    breaker, other = breaker_of(store), breaker_of(store)
    first, second = await job(store, "late"), await job(store, "late")
    waiting = list(enumerate([first, first, first, second, second, second]))
    for number, lease in waiting:
        assert await other.enter(lease, number, most_s=60) is None
    await fail_for_all(store, breaker, "provider_timeout")
    for number, lease in waiting:  # calls that were under way, enough to open the breaker of their owner, too
        await other.leave(lease, number, CallOutcome.BAD, code="provider_down")
    assert told(log) == [
        "WARNING circuit breaker opened: calls to openrouter, model a/b fail (provider_timeout); "
        "none is made for 10 s, then one at a time until one succeeds"
    ]
    for _ in range(3):
        await let_time_pass(redis)
        await call(other, await job(store, "ben"), CallOutcome.BAD)  # a probe
    assert told(log) == []
    await let_time_pass(redis)
    await call(other, await job(store, "ben"), CallOutcome.GOOD)
    [line] = told(log)
    assert line.startswith("INFO circuit breaker closed: calls to openrouter, model a/b are made again, after 9")
    assert line.endswith(" s (provider_down)")
    await call(breaker, await job(store, "ben"), CallOutcome.GOOD)
    assert told(log) == []


async def test_a_rejected_key_is_a_line_of_its_own(
    store: JobStore, redis: Redis, log: pytest.LogCaptureFixture
) -> None:
    await call(breaker_of(store), await job(store, "ann"), CallOutcome.KEY, "provider_auth")
    assert told(log) == [
        "WARNING circuit breaker opened: calls to openrouter with this key fail (provider_auth); "
        "none is made for 40 s, then one at a time until one succeeds"
    ]
    await let_time_pass(redis)
    await call(breaker_of(store, model="c"), await job(store, "ann"), CallOutcome.GOOD)
    [line] = told(log)
    assert "closed: calls to openrouter with this key are made again, after 9" in line


async def test_one_model_is_a_line_and_the_key_is_none(store: JobStore, log: pytest.LogCaptureFixture) -> None:
    await call(breaker_of(store), await job(store, "ann"), CallOutcome.MODEL, "provider_forbidden")
    [line] = told(log)
    assert "opened: calls to openrouter, model a/b fail (provider_forbidden)" in line


async def test_an_owners_breaker_names_it_by_its_digest(
    store: JobStore, redis: Redis, log: pytest.LogCaptureFixture
) -> None:
    breaker = breaker_of(store)
    await fail_for_one(store, breaker)
    [line] = told(log)
    [opened] = await read_breakers(redis)
    assert opened.level is Level.OWNER
    assert f"model a/b, for the jobs of owner {opened.owner[:8]} fail (provider_down)" in line
    await call(breaker, await job(store, "ben"), CallOutcome.GOOD)
    await call(breaker, await job(store, "ann"), CallOutcome.GOOD)  # what ben's success has disproved is forgotten
    [line] = told(log)
    assert f"closed: calls to openrouter, model a/b, for the jobs of owner {opened.owner[:8]} are made again" in line
    assert await read_breakers(redis) == []


async def test_what_a_call_is_refused_for_is_no_news(store: JobStore, log: pytest.LogCaptureFixture) -> None:
    breaker = breaker_of(store)
    await fail_for_all(store, breaker)
    told(log)
    for _ in range(5):
        assert await breaker.enter(await job(store, "ann"), 0, most_s=60) is not None
    assert told(log) == []


async def test_open_breakers_can_be_listed_and_closed_ones_not(store: JobStore, redis: Redis) -> None:
    assert await read_breakers(redis) == []
    breaker = breaker_of(store)
    await fail_for_all(store, breaker)
    await call(breaker_of(store, model="c"), await job(store, "ann"), CallOutcome.MODEL, "provider_credits")
    first, second = await read_breakers(redis)
    assert (first.level, first.provider, first.model, first.code) == (Level.MODEL, "openrouter", MODEL, "provider_down")
    assert OPEN_S - 2 < first.left_s <= OPEN_S
    assert (second.model, second.code) == ("c", "provider_credits")
    await let_time_pass(redis)
    assert [each.left_s for each in await read_breakers(redis)] == [0, 0]
    await redis.delete(f"darkroom:gate:{breaker.name}:{breaker.model}")  # as time would
    assert [each.model for each in await read_breakers(redis)] == ["c"]
    assert await redis.ttl(BREAKERS) > 0
    await call(breaker_of(store, model="c"), await job(store, "ann"), CallOutcome.GOOD)
    assert await read_breakers(redis) == []
    assert await redis.zrange(BREAKERS, 0, -1) == [f"darkroom:gate:{breaker.name}:{breaker.model}"]


async def test_a_breaker_that_another_version_has_closed_is_told_anew(
    store: JobStore, redis: Redis, log: pytest.LogCaptureFixture
) -> None:
    breaker = breaker_of(store)
    await fail_for_all(store, breaker)
    told(log)
    await redis.hdel(f"darkroom:gate:{breaker.name}:{breaker.model}", "open_until", "code", "probe", "row", "fails")
    assert await read_breakers(redis) == []
    await call(breaker, await job(store, "ann"), CallOutcome.GOOD)
    assert told(log) == []
    await fail_for_all(store, breaker)
    assert len(told(log)) == 1
