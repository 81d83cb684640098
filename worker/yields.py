"""How many pictures one answer of a model brings, so that a job makes no more calls than its images need.

Most models bring one. What a model brought last is remembered in Redis for a day, beside the model's gate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from redis.asyncio import Redis

from contract.scripts import PREFIX, reaching_redis
from worker.gate import Gate
from worker.plan import Route
from worker.providers.provider import Json
from worker.providers.results import Made

MOST = 16  # pictures of one answer that are counted
LIFE_S = 86_400
_ASKS = ("n", "num_images")  # how an extraBody asks for several


@dataclass(slots=True)
class Yields:
    """What a job expects of its calls, by whom they go to; one picture of anybody who is not listed."""

    known: dict[Route, int] = field(default_factory=dict)
    _doubted: set[Route] = field(default_factory=set)

    def due(self, routes: Iterable[Route]) -> int:
        """Tell how many pictures calls under way may bring."""
        return sum(1 if route in self._doubted else self.known.get(route, 1) for route in routes)

    def doubt(self, route: Route) -> None:
        """Expect but one picture of each call to somebody who has failed this job."""
        self._doubted.add(route)

    def learn(self, route: Route, made: Made, most: int) -> int:
        """Take in how many good pictures an answer brought, of `most` that were looked for; answer it if it is news.

        0 is none. That of several pictures one was enough says nothing of the others.
        """
        if most == 1 and made.unused:
            return 0
        many, known = 1 + len(made.more), self.known.get(route, 1)
        if many == most and made.unused:
            many = max(many, known)
        self.known[route] = many = min(many, MOST)
        return many if many > 1 or many != known else 0


def asked_for(extra_body: Mapping[str, Json]) -> int:
    """Tell how many pictures a configured extraBody asks for with each call."""
    wishes = [extra_body.get(name) for name in _ASKS]
    return next((min(wish, MOST) for wish in wishes if type(wish) is int and wish > 1), 1)


class Memory:
    """Remembers in Redis what models bring; forgetting costs no more than a call."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def look_up(self, gates: Mapping[Route, Gate]) -> dict[Route, int]:
        """Tell what is remembered of those behind these gates. Raises Unavailable."""
        async with reaching_redis():
            found = await self._redis.mget([_key(gate) for gate in gates.values()])
        told = zip(gates, map(str, found), strict=True)
        return {route: max(1, min(int(many), MOST)) for route, many in told if many.isdecimal()}

    async def note(self, gate: Gate, many: int) -> None:
        """Remember what an answer has brought. Raises Unavailable."""
        async with reaching_redis():
            await self._redis.set(_key(gate), many, ex=LIFE_S)


def _key(gate: Gate) -> str:
    return f"{PREFIX}gate:{gate.name}:{gate.model}:pictures"
