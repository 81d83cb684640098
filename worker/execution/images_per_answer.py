"""How many pictures one answer of a model brings, so that a job makes no more calls than its images need.

Most models bring one. What a model brought last is remembered in Redis for a day, beside the model's circuit breaker.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from redis.asyncio import Redis

from contract.redis.client import reaching_redis
from contract.store.keys import pictures_key
from worker.answers.untrusted_json import Json
from worker.http.pending_result import GeneratedImage
from worker.policy.circuit_breaker import CircuitBreaker
from worker.policy.ladder import Route

MOST = 16  # pictures of one answer that are counted
LIFE_S = 86_400
_ASKS = ("n", "num_images")  # how an extraBody asks for several


class Lesson(NamedTuple):
    """How many pictures an answer has brought."""

    many: int
    is_guess: bool = False


@dataclass(slots=True)
class ImagesPerAnswer:
    """What a job expects of its calls, by route; one picture of any route that is not listed."""

    known: dict[Route, int] = field(default_factory=dict)
    _doubted: set[Route] = field(default_factory=set)

    def due(self, routes: Iterable[Route]) -> int:
        """Tell how many pictures calls under way may bring."""
        return sum(1 if route in self._doubted else self.known.get(route, 1) for route in routes)

    def doubt(self, route: Route) -> None:
        """Expect but one picture of each call on a route that has failed this job."""
        self._doubted.add(route)

    def learn(self, route: Route, made: GeneratedImage, most: int) -> Lesson | None:
        """Take in how many good pictures an answer brought, of `most` that were looked for; answer what is news.

        Where one was enough, those that were not looked at are a guess, which counts as long as nothing is known.
        """
        known = self.known.get(route)
        if most == 1 and made.unused:
            is_news = made.left > 0 and known is None
            return Lesson(min(1 + made.left, MOST), is_guess=True) if is_news else None
        many = 1 + len(made.more)
        if many == most and made.unused:
            many = max(many, known or 1)
        self.known[route] = many = min(many, MOST)
        return Lesson(many) if many > 1 or many != (known or 1) else None


def asked_for(extra_body: Mapping[str, Json]) -> int:
    """Tell how many pictures a configured extraBody asks for with each call."""
    wishes = [extra_body.get(name) for name in _ASKS]
    return next((min(wish, MOST) for wish in wishes if type(wish) is int and wish > 1), 1)


class ImagesPerAnswerStore:
    """Remembers in Redis what models bring; forgetting costs no more than a call."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def look_up(self, breakers: Mapping[Route, CircuitBreaker]) -> dict[Route, int]:
        """Tell what is remembered of the models behind these circuit breakers. Raises Unavailable."""
        async with reaching_redis():
            found = await self._redis.mget([_key(breaker) for breaker in breakers.values()])
        told = zip(breakers, map(str, found), strict=True)
        return {route: max(1, min(int(many), MOST)) for route, many in told if many.isdecimal()}

    async def note(self, breaker: CircuitBreaker, lesson: Lesson) -> None:
        """Remember what an answer has brought; a guess only where nothing is known. Raises Unavailable."""
        async with reaching_redis():
            await self._redis.set(_key(breaker), lesson.many, ex=LIFE_S, nx=lesson.is_guess)


def _key(breaker: CircuitBreaker) -> str:
    return pictures_key(breaker.name, breaker.model)
