"""How many pictures a model brings: what is learned of an answer, expected of a call, and remembered."""

from __future__ import annotations

from typing import Any, cast

import pytest
from redis.asyncio import Redis

from contract.errors.exceptions import Unavailable
from contract.redis.client import open_redis
from contract.store.doorbell import Doorbell
from contract.store.worker_store import WorkerStore
from tests.support.factories.ladders import FIRST, HUB
from worker.execution.images_per_answer import MOST, ImagesPerAnswer, ImagesPerAnswerStore, Lesson, asked_for
from worker.http.pending_result import GeneratedImage
from worker.policy.circuit_breaker import CircuitBreaker, CircuitBreakers
from worker.sandbox.pool import Picture

PICTURE = Picture(data=b"", mime="image/png", width=64, height=64, sha256="0" * 64)


def brought(good: int, unused: int = 0, left: int = 0) -> GeneratedImage:
    return GeneratedImage(PICTURE, None, more=(PICTURE,) * (good - 1), unused=unused, left=left)


@pytest.mark.parametrize(
    ("known", "most", "made", "news", "then"),
    [
        (None, 4, brought(1), None, 1),  # as most models do
        (None, 1, brought(1), None, 1),
        (None, 1, brought(1, 2), None, 1),
        (None, 1, brought(1, 2, left=2), Lesson(3, is_guess=True), 1),
        (1, 1, brought(1, 2, left=2), None, 1),
        (3, 1, brought(1, 4, left=4), None, 3),
        (None, 3, brought(1, 2), None, 1),  # they were bad, or the same
        (None, 3, brought(3), Lesson(3), 3),
        (None, 2, brought(2, 1, left=1), Lesson(2), 2),
        (3, 3, brought(3), Lesson(3), 3),  # so that it is not forgotten
        (3, 2, brought(2, 1, left=1), Lesson(3), 3),
        (3, 3, brought(1), Lesson(1), 1),
        (3, 4, brought(2, 2), Lesson(2), 2),
        (3, 1, brought(1), Lesson(1), 1),
        (3, 1, brought(1, 2), None, 3),
        (1, 4, brought(4, 9, left=9), Lesson(4), 4),
        (None, 99, brought(99), Lesson(MOST), MOST),
        (None, 1, brought(1, 99, left=99), Lesson(MOST, is_guess=True), 1),
    ],
)
def test_what_an_answer_teaches(
    known: int | None, most: int, made: GeneratedImage, news: Lesson | None, then: int
) -> None:
    yields = ImagesPerAnswer({} if known is None else {FIRST: known})
    assert yields.learn(FIRST, made, most) == news
    assert yields.due([FIRST]) == then


def test_who_has_failed_a_job_is_not_relied_on_in_it_but_what_is_known_of_him_stays() -> None:
    yields = ImagesPerAnswer({FIRST: 3, HUB.route: 2})
    assert yields.due([FIRST, FIRST, HUB.route, ("a", "b")]) == 9
    yields.doubt(FIRST)
    assert yields.due([FIRST, FIRST, HUB.route]) == 4
    assert yields.learn(FIRST, brought(1), 3) == Lesson(1)


@pytest.mark.parametrize(
    ("extra_body", "many"),
    [
        *(({}, 1), ({"n": 3}, 3), ({"num_images": 2}, 2), ({"n": 1}, 1), ({"n": 10**30}, MOST)),
        *(({"n": 0}, 1), ({"n": -3}, 1), ({"n": "3"}, 1), ({"n": True}, 1), ({"n": [3]}, 1), ({"n": 2.0}, 1)),
        ({"n": None, "num_images": 4}, 4),
    ],
)
def test_what_an_extra_body_asks_for(extra_body: dict[str, Any], many: int) -> None:
    assert asked_for(extra_body) == many


def breakers(redis: Redis) -> dict[tuple[str, str], CircuitBreaker]:
    found = CircuitBreakers(WorkerStore(redis, cast(Doorbell, None)), limit=None, open_s=1)
    return {FIRST: found.to("openrouter", "key", FIRST[1]), HUB.route: found.to("aihubmix", "key", "e")}


async def test_what_is_remembered_is_told_for_a_day_and_by_whom_it_was_brought(fake_redis: Redis) -> None:
    memory, ways = ImagesPerAnswerStore(fake_redis), breakers(fake_redis)
    assert await memory.look_up(ways) == {}
    await memory.note(ways[FIRST], Lesson(3))
    await memory.note(ways[FIRST], Lesson(4, is_guess=True))
    assert await memory.look_up(ways) == {FIRST: 3}
    [key] = await fake_redis.keys()
    assert 86_000 < await fake_redis.ttl(key) <= 86_400
    for damaged, told in (("many", {}), ("0", {FIRST: 1}), ("9" * 30, {FIRST: MOST}), ("-3", {})):
        await fake_redis.set(key, damaged)
        assert await memory.look_up(ways) == told


async def test_without_redis_it_is_told_that_it_is_away() -> None:
    redis = open_redis("redis://127.0.0.1:1", timeout_s=0.1)
    memory, ways = ImagesPerAnswerStore(redis), breakers(redis)
    with pytest.raises(Unavailable):
        await memory.look_up(ways)
    with pytest.raises(Unavailable):
        await memory.note(ways[FIRST], Lesson(3))
    await redis.aclose()
