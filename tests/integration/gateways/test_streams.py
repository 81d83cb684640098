"""Conformance of places for streams, on fakeredis and on a real Redis: two gateways, one of which may be killed."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from fakeredis import FakeAsyncRedis, FakeServer
from redis.asyncio import Redis

from contract.errors.exceptions import Refused
from contract.store.keys import owner_key
from producer.api.services.streams import HELD_S, Streams

KEY = owner_key("ann", "streams")


@pytest.fixture
def gateways(redis: Redis) -> tuple[Streams, Streams]:
    """Two gateways with one Redis, where an owner may follow two jobs."""
    return Streams(redis, most=2), Streams(redis, most=2)


async def until_free(redis: Redis, places: int) -> None:
    async with asyncio.timeout(5):
        while await redis.zcard(KEY) > places:
            await asyncio.sleep(0.01)


async def refused(streams: Streams, owner: str = "ann") -> bool:
    try:
        async with streams.follow(owner):
            return False
    except Refused as error:
        return error.code == "too_many_streams"


async def test_an_owner_has_so_many_at_all_gateways_together(redis: Redis, gateways: tuple[Streams, Streams]) -> None:
    one, other = gateways
    async with one.follow("ann"):
        async with other.follow("ann"):
            assert [await refused(streams) for streams in gateways] == [True, True]
            assert not await refused(one, "bob")
        await until_free(redis, 1)
        assert not await refused(one)
    await until_free(redis, 0)


async def test_of_many_that_come_at_once_no_more_are_let_in(gateways: tuple[Streams, Streams]) -> None:
    async def come(streams: Streams) -> bool:
        try:
            await resources.enter_async_context(streams.follow("ann"))
        except Refused:
            return False
        return True

    async with AsyncExitStack() as resources:
        came = await asyncio.gather(*(come(streams) for streams in gateways * 10))
        assert sum(came) == 2


async def test_the_places_of_a_killed_gateway_come_free_and_those_of_others_do_not(
    redis: Redis, gateways: tuple[Streams, Streams]
) -> None:
    killed, living = gateways
    async with killed.follow("ann"), living.follow("ann"):
        assert 0 < await redis.pttl(KEY) <= 1000 * HELD_S <= 60_000
        for place in await redis.zrange(KEY, 0, -1):
            await redis.zadd(KEY, {str(place): 1})  # as time would
        await living.hold()
        assert not await refused(living)
        await until_free(redis, 1)


async def test_while_redis_is_away_each_gateway_counts_for_itself() -> None:
    server = FakeServer()
    one, other = (Streams(FakeAsyncRedis(server=server, decode_responses=True), most=1) for _ in range(2))
    server.connected = False
    async with one.follow("ann"), other.follow("ann"):
        assert [await refused(streams) for streams in (one, other)] == [True, True]
        server.connected = True
        await one.hold()
        await other.hold()
