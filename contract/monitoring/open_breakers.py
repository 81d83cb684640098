"""The circuit breakers that are open, as Redis tells of them; `breaker/leave.lua` opens and closes them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from redis.asyncio import Redis

from contract.redis.client import reaching_redis
from contract.store.keys import BREAKERS, GATE

MOST = 100  # that are looked at
SHOWN = 8  # characters of an owner's digest


class Level(IntEnum):
    """The calls that a circuit breaker stops."""

    KEY = 1
    MODEL = 2
    OWNER = 3


@dataclass(frozen=True, slots=True)
class Breaker:
    """A circuit breaker; `left_s` is 0 when the next call probes, and `owner` is a digest."""

    level: Level
    provider: str
    model: str
    code: str
    owner: str = ""
    left_s: float = 0

    @property
    def calls(self) -> str:
        """Name the calls that it stops."""
        if self.level is Level.KEY:
            return f"calls to {self.provider} with this key"
        of = f" for the jobs of owner {self.owner[:SHOWN]}" if self.level is Level.OWNER else ""
        return f"calls to {self.provider}, model {self.model},{of}".rstrip(",")


async def read_breakers(redis: Redis) -> list[Breaker]:
    """List the open circuit breakers, the one that opened first first. Raises Unavailable."""
    async with reaching_redis():
        seconds, micros = await redis.time()
        keys = [str(key) for key in await redis.zrange(BREAKERS, 0, MOST - 1)]
        fields = ("open_until", "code", "provider", "model")
        found = [await redis.hmget(key, *fields) for key in keys]
    now_s = seconds + micros / 1e6
    return [
        _breaker(key, now_s, float(until), str(code), str(provider), str(model))
        for key, (until, code, provider, model) in zip(keys, found, strict=True)
        if until is not None  # else it has expired
    ]


def _breaker(key: str, now_s: float, until_ms: float, code: str, provider: str, model: str) -> Breaker:
    _, *own = key.removeprefix(GATE).split(":")
    level = Level(1 + len(own))
    owner = own[-1] if level is Level.OWNER else ""
    return Breaker(level, provider, model, code, owner, max(0.0, until_ms / 1000 - now_s))
