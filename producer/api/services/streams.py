"""How many streams of events an owner follows, at all gateways together.

Each stream has a place in Redis that its gateway holds again now and then: the places of a gateway that is killed are
free within a minute. While Redis is away, each gateway counts for itself.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count

from redis.asyncio import Redis

from contract.errors.exceptions import Refused, Unavailable
from contract.redis.client import reaching_redis
from contract.store.keys import digest, owner_key
from contract.store.scripts import Scripts
from producer.client.redis_deadline import redis_deadline
from producer.error_catalogue import TOO_MANY_STREAMS

HELD_S = 45.0
HOLD_S = 15.0
MOST_TOGETHER = 200  # places held in one go


class Streams:
    """The streams of one gateway, beside those of the others."""

    def __init__(self, redis: Redis, *, most: int) -> None:
        self._redis = redis
        self._most = most
        self._run = Scripts(redis, ("streams/hold",)).run
        self._gateway = uuid.uuid4().hex[:16]
        self._numbers = count()
        self._places: dict[str, str] = {}  # and their owners
        self._leaving: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def follow(self, owner: str) -> AsyncIterator[None]:
        """Count a stream while it lasts. Raises Refused (`too_many_streams`)."""
        place = f"{self._gateway}:{next(self._numbers)}"
        if Counter(self._places.values())[owner] >= self._most:
            raise self._too_many()
        self._places[place] = owner
        try:
            if not await self._take(owner, place):
                raise self._too_many()
            yield
        finally:
            del self._places[place]
            leaving = asyncio.create_task(self._give_back(owner, place))
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)

    async def keep(self) -> None:
        """Hold the places of this gateway for ever."""
        while True:
            await asyncio.sleep(HOLD_S)
            with suppress(Unavailable):
                await self.hold()

    async def hold(self) -> None:
        """Hold the places of this gateway for a while. Raises Unavailable."""
        held = [(digest(owner), place) for place, owner in self._places.items()]
        for start in range(0, len(held), MOST_TOGETHER):
            some = (part for pair in held[start : start + MOST_TOGETHER] for part in pair)
            async with redis_deadline():
                await self._run("streams/hold", int(HELD_S * 1000), 0, *some)

    async def _take(self, owner: str, place: str) -> bool:
        try:
            async with redis_deadline():
                return not await self._run("streams/hold", int(HELD_S * 1000), self._most, digest(owner), place)
        except Unavailable:
            return True

    async def _give_back(self, owner: str, place: str) -> None:
        with suppress(Unavailable):
            async with redis_deadline(), reaching_redis():
                await self._redis.zrem(owner_key(owner, "streams"), place)

    def _too_many(self) -> Refused:
        return Refused(TOO_MANY_STREAMS, max=self._most, retry_after_s=5)
