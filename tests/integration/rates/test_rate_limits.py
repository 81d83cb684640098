"""Rates on a real Redis: who is over the rate is refused by it, and costs neither Redis nor other owners anything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Any

import pytest
from redis.asyncio import Redis

from contract.errors.exceptions import Refused
from contract.redis.client import open_redis
from producer.api.services import rate_limits
from producer.api.services.rate_limits import Rates
from producer.client import load_shedding
from tests.support.stack.redis_server import RealRedis

pytestmark = pytest.mark.real_redis


@pytest.fixture
async def rates(redis_server: RealRedis) -> AsyncIterator[Rates]:
    """Three submits and two misses in an hour."""
    rates = Rates(redis_server.url, rate="3/hour", miss_rate="2/hour", timeout_s=2)
    yield rates
    storage: Any = rates._limiter.storage
    await storage.bridge.storage.aclose()


@pytest.fixture
async def redis(redis_server: RealRedis) -> AsyncIterator[Redis]:
    """An empty Redis."""
    async with open_redis(redis_server.url) as redis:
        await redis.flushall()
        yield redis


async def scripts(redis: Redis) -> int:
    """Count the scripts that Redis has run."""
    stats = await redis.info("commandstats")
    return sum(int(stats.get(f"cmdstat_{name}", {}).get("calls", 0)) for name in ("eval", "evalsha"))


async def refusal(rates: Rates, caller: str) -> Refused:
    """Submit once too often."""
    with pytest.raises(Refused) as refused:
        await rates.count(caller)
    return refused.value


async def test_a_refusal_is_remembered_for_a_second(
    rates: Rates, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        await rates.count("ann")
    first = await refusal(rates, "ann")
    before = await scripts(redis)
    again = [await refusal(rates, "ann") for _ in range(20)]
    assert {(one.code, str(one.values)) for one in again} == {("rate_limited", str(first.values))}
    assert await scripts(redis) == before
    await rates.count("bob")
    monkeypatch.setattr(rate_limits, "REMEMBERED_S", 0.0)
    rates._refusals.clear()
    assert (await refusal(rates, "ann")).code == "rate_limited"
    after = await scripts(redis)
    assert (await refusal(rates, "ann")).code == "rate_limited"
    assert await scripts(redis) > after  # it is asked again


async def test_misses_are_remembered_apart(rates: Rates, redis: Redis) -> None:
    for _ in range(2):
        await rates.count_miss("ann")
    for _ in range(2):
        with pytest.raises(Refused):
            await rates.count_miss("ann")
    await rates.count("ann")


async def test_so_many_refusals_are_remembered_at_most(
    rates: Rates, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limits, "MOST_REMEMBERED", 2)
    for name in ("ann", "bob", "cid"):
        for _ in range(2):
            await rates.count_miss(name)
        with pytest.raises(Refused):
            await rates.count_miss(name)
    assert [caller for _, caller in rates._refusals] == ["bob", "cid"]


async def test_those_who_ask_share_the_room_for_asking_by_owner(
    rates: Rates, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_shedding, "LONG_S", 0)
    with ExitStack() as asking:
        for _ in range(load_shedding.FEW):
            asking.enter_context(rates._asking.join("ann"))
        assert (await refusal(rates, "ann")).code == "too_busy"
        await rates.count("bob")
