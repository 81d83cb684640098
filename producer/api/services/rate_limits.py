"""Rate limits of one caller: submits, and requests for what does not exist; counted in Redis by `limits`."""

from __future__ import annotations

import math
import time
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
from producer.error_catalogue import RATE_LIMITED


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

    @classmethod
    def of(cls, env: Environment, *, timeout_s: float) -> Self:
        """Count in the Redis of the settings, by their rates."""
        url = env.redis_url.get_secret_value()
        return cls(url, rate=env.rate, miss_rate=env.miss_rate, timeout_s=timeout_s)

    async def count(self, caller: str) -> dict[str, str]:
        """Count one submit; return the headers with the number left. Raises Refused, Unavailable."""
        headers: dict[str, str] = {}
        for item in self._rate:
            await self._count(item, "submit", caller)
            _, headers = await self._left(item, "submit", caller)
        return headers

    async def check(self, caller: str) -> None:
        """Require that a submit is within the rate, without counting it. Raises Refused, Unavailable."""
        for item in self._rate:
            async with reaching_redis():
                is_let = await self._limiter.test(item, "submit", digest(caller))
            if not is_let:
                await self._refuse(item, "submit", caller)

    async def count_miss(self, caller: str) -> None:
        """Count that somebody asked for what does not exist. Raises Refused, Unavailable."""
        for item in self._miss_rate:
            await self._count(item, "miss", caller)

    async def _count(self, item: RateLimitItem, what: str, caller: str) -> None:
        async with reaching_redis():
            is_let = await self._limiter.hit(item, what, digest(caller))
        if not is_let:
            await self._refuse(item, what, caller)

    async def _refuse(self, item: RateLimitItem, what: str, caller: str) -> None:
        reset_s, headers = await self._left(item, what, caller)
        raise Refused(RATE_LIMITED, retry_after_s=reset_s, headers=headers)

    async def _left(self, item: RateLimitItem, what: str, caller: str) -> tuple[int, dict[str, str]]:
        """Tell in how many seconds there are more requests, and write headers that tell how many are left."""
        async with reaching_redis():
            stats = await self._limiter.get_window_stats(item, what, digest(caller))
        reset_s = max(1, math.ceil(stats.reset_time - time.time()))
        return reset_s, {
            "RateLimit-Policy": f'"{what}";q={item.amount};w={item.get_expiry()}',
            "RateLimit": f'"{what}";r={stats.remaining};t={reset_s}',
        }
