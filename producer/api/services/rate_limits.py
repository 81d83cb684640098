"""Rate limits of one caller: submits, and requests for what does not exist; counted in Redis by `limits`.

A refusal is remembered for a second, which is the least of `Retry-After`: a client in a loop costs no call to Redis,
and no room that load shedding leaves for submits.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from typing import Any, Self

from limits import RateLimitItem, parse_many
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.storage import storage_from_string
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from contract.errors.exceptions import Refused
from contract.redis.client import reaching_redis
from contract.settings.environment import Environment
from contract.store.keys import RATES, digest
from producer.client.load_shedding import LoadShedder
from producer.error_catalogue import RATE_LIMITED

REMEMBERED_S = 1.0
MOST_REMEMBERED = 10_000


class Rates:
    """The rates of one gateway; every process that shares its Redis counts in the same place."""

    def __init__(self, redis_url: str, *, rate: str, miss_rate: str, timeout_s: float) -> None:
        url = redis_url.replace("unix://", "redis+unix://")
        client: dict[str, Any] = {  # as `open_redis` has it
            "socket_timeout": timeout_s,
            "socket_connect_timeout": timeout_s,
            "retry": Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        }
        storage = storage_from_string(f"async+{url}", implementation="redispy", key_prefix=RATES, **client)
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._rate = parse_many(rate)
        self._miss_rate = parse_many(miss_rate)
        self._refusals: OrderedDict[tuple[str, str], tuple[float, Refused]] = OrderedDict()
        self._asking = LoadShedder()  # apart from submits: who is over the rate takes no room of theirs

    @classmethod
    def of(cls, env: Environment, *, timeout_s: float) -> Self:
        """Count in the Redis of the settings, by their rates."""
        url = env.redis_url.get_secret_value()
        return cls(url, rate=env.rate, miss_rate=env.miss_rate, timeout_s=timeout_s)

    async def count(self, caller: str) -> dict[str, str]:
        """Count one submit; return the headers with the number left.

        Raises Refused (`rate_limited`, `too_busy`), Unavailable.
        """
        headers: dict[str, str] = {}
        self.recall("submit", caller)
        self._asking.check(caller)
        with self._asking.join(caller):
            for item in self._rate:
                await self._count(item, "submit", caller)
                _, headers = await self._left(item, "submit", caller)
        return headers

    def recall(self, what: str, caller: str) -> None:
        """Refuse again a caller who was refused a moment ago. Raises Refused."""
        until, refusal = self._refusals.get((what, caller), (0.0, None))
        if refusal is not None and time.monotonic() < until:
            raise Refused(refusal.kind, **refusal.values)

    async def check(self, caller: str) -> None:
        """Require that a submit is within the rate, without counting it. Raises Refused, Unavailable."""
        self.recall("submit", caller)
        for item in self._rate:
            async with reaching_redis():
                is_let = await self._limiter.test(item, "submit", digest(caller))
            if not is_let:
                await self._refuse(item, "submit", caller)

    async def count_miss(self, caller: str) -> None:
        """Count that somebody asked for what does not exist. Raises Refused, Unavailable."""
        self.recall("miss", caller)
        for item in self._miss_rate:
            await self._count(item, "miss", caller)

    async def _count(self, item: RateLimitItem, what: str, caller: str) -> None:
        async with reaching_redis():
            is_let = await self._limiter.hit(item, what, digest(caller))
        if not is_let:
            await self._refuse(item, what, caller)

    async def _refuse(self, item: RateLimitItem, what: str, caller: str) -> None:
        reset_s, headers = await self._left(item, what, caller)
        refusal = Refused(RATE_LIMITED, retry_after_s=reset_s, headers=headers)
        self._refusals.pop((what, caller), None)
        self._refusals[what, caller] = time.monotonic() + REMEMBERED_S, refusal
        if len(self._refusals) > MOST_REMEMBERED:
            self._refusals.popitem(last=False)
        raise refusal

    async def _left(self, item: RateLimitItem, what: str, caller: str) -> tuple[int, dict[str, str]]:
        """Tell in how many seconds there are more requests, and write headers that tell how many are left."""
        async with reaching_redis():
            stats = await self._limiter.get_window_stats(item, what, digest(caller))
        reset_s = max(1, math.ceil(stats.reset_time - time.time()))
        return reset_s, {
            "RateLimit-Policy": f'"{what}";q={item.amount};w={item.get_expiry()}',
            "RateLimit": f'"{what}";r={stats.remaining};t={reset_s}',
        }
