"""How often one caller may hand in, and ask for what does not exist; counted in Redis by `limits`."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence

from limits import RateLimitItem, parse_many
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.storage import storage_from_string

from contract.errors import Refused
from contract.scripts import PREFIX, reaching_redis
from contract.store import digest


class Rates:
    """The rates of one gateway; every process that shares its Redis counts in the same place."""

    def __init__(self, redis_url: str, *, rate: str, miss_rate: str, timeout_s: float) -> None:
        url = redis_url.replace("unix://", "redis+unix://")
        storage = storage_from_string(
            f"async+{url}",
            implementation="redispy",
            key_prefix=PREFIX + "rate",
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
        )
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._rate = parse_many(rate)
        self._miss_rate = parse_many(miss_rate)

    async def count(self, caller: str) -> dict[str, str]:
        """Count one request to hand in; answer the headers that tell how many are left. Raises Refused, Unavailable."""
        return await self._count(self._rate, "submit", caller)

    async def count_miss(self, caller: str) -> None:
        """Count that somebody asked for what does not exist. Raises Refused, Unavailable."""
        await self._count(self._miss_rate, "miss", caller)

    async def _count(self, items: Sequence[RateLimitItem], what: str, caller: str) -> dict[str, str]:
        key = (what, digest(caller))
        headers: Mapping[str, str] = {}
        async with reaching_redis():
            for item in items:
                is_let = await self._limiter.hit(item, *key)
                stats = await self._limiter.get_window_stats(item, *key)
                reset_s = max(1, math.ceil(stats.reset_time - time.time()))
                headers = {
                    "RateLimit-Policy": f'"{what}";q={item.amount};w={item.get_expiry()}',
                    "RateLimit": f'"{what}";r={stats.remaining};t={reset_s}',
                }
                if not is_let:
                    raise Refused("rate_limited", retry_after_s=reset_s, headers=headers)
        return dict(headers)
