"""Conformance of the outbox, on fakeredis and on a real Redis: what is due, for whom, and what comes of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from redis.asyncio import Redis

from contract.jobs.job import TERMINAL, JobState
from contract.webhook import Webhook
from tests.support.factories.job_store import JobStore
from tests.support.store.table import claimed, submitted
from worker.webhooks.outbox import LEASE_S, LOOK, Delivery, WebhookOutbox, WebhookState

KEY = "darkroom:webhooks"


@pytest.fixture
def outbox(redis: Redis) -> WebhookOutbox:
    """An outbox on both kinds of Redis."""
    return WebhookOutbox(redis)


def kept(host: str = "one.example") -> str:
    return Webhook(url=f"https://{host}/in", host=host).model_dump_json()


async def ended(store: JobStore, webhook: str = kept(), **fields: Any) -> str:
    job_id = await submitted(store, webhook=webhook, **fields)
    await store.cancel(job_id)
    return job_id


async def take(outbox: WebhookOutbox, most: int = 16, **how: Any) -> list[Delivery]:
    return (await outbox.take(most, **{"busy": {}, "most_to_host": 4, "most_of_owner": 99, **how}))[0]


async def make_due(redis: Redis) -> None:
    """Let the time of all that waits pass."""
    for job_id in await redis.zrange(KEY, 0, -1):
        await redis.zadd(KEY, {str(job_id): 1})


async def story(redis: Redis, job_id: str) -> tuple[str, str]:
    state, tries = await redis.hmget(f"darkroom:job:{job_id}", ["webhook_state", "webhook_tries"])
    return str(state), str(tries)


async def waits_s(redis: Redis, job_id: str) -> float:
    score = await redis.zscore(KEY, job_id)
    assert score is not None
    seconds, micros = await redis.time()
    return float(score) / 1000 - seconds - micros / 1e6


@pytest.mark.parametrize("state", sorted(TERMINAL - {JobState.EXPIRED, JobState.CANCELLED}))
async def test_g21_whatever_ends_a_job_is_told(state: JobState, store: JobStore, outbox: WebhookOutbox) -> None:
    job_id = await submitted(store, webhook=kept())
    lease = await claimed(store, job_id)
    assert await take(outbox) == []
    await store.end(lease, state)
    [delivery] = await take(outbox)
    assert (delivery.job_id, delivery.number, delivery.host) == (job_id, 1, "one.example")
    assert delivery.fields["state"] == state
    assert delivery.fields["webhook"] == kept()
    assert "prompt" not in repr(delivery)


async def test_a_cancelled_job_is_told_and_one_without_a_webhook_is_not(store: JobStore, outbox: WebhookOutbox) -> None:
    job_id = await ended(store)
    await ended(store, "")
    assert [delivery.job_id for delivery in await take(outbox)] == [job_id]


async def test_one_that_is_under_way_is_taken_by_nobody_else_until_its_lease_is_over(
    store: JobStore, outbox: WebhookOutbox, redis: Redis
) -> None:
    job_id = await ended(store)
    [first] = await take(outbox)
    assert await take(outbox) == []
    assert LEASE_S - 5 < await waits_s(redis, job_id) <= LEASE_S
    assert await story(redis, job_id) == ("pending", "1")
    await make_due(redis)
    [second] = await take(outbox)
    assert (first.number, second.number) == (1, 2)
    assert await story(redis, job_id) == ("pending", "2")


@pytest.mark.parametrize("state", [WebhookState.DELIVERED, WebhookState.FAILED])
async def test_what_is_over_is_over_and_the_job_tells_it(
    state: WebhookState, store: JobStore, outbox: WebhookOutbox, redis: Redis
) -> None:
    job_id = await ended(store)
    [delivery] = await take(outbox)
    for _ in range(2):
        await outbox.settle(delivery, state)
    assert await redis.exists(KEY) == 0
    assert await story(redis, job_id) == (state, "1")
    assert (await store.get(job_id)).state is JobState.CANCELLED


async def test_what_failed_is_due_again_after_its_wait(store: JobStore, outbox: WebhookOutbox, redis: Redis) -> None:
    job_id = await ended(store)
    [delivery] = await take(outbox)
    for _ in range(2):
        await outbox.settle(delivery, WebhookState.PENDING, wait_s=300)
    assert 295 < await waits_s(redis, job_id) <= 300
    assert await story(redis, job_id) == ("pending", "1")
    await outbox.settle(delivery, WebhookState.PENDING, wait_s=0)
    assert [again.number for again in await take(outbox)] == [2]


async def test_a_worker_that_was_paused_undoes_nothing_but_what_it_delivered_is_delivered(
    store: JobStore, outbox: WebhookOutbox, redis: Redis
) -> None:
    job_id = await ended(store)
    [paused] = await take(outbox)
    await make_due(redis)
    [newer] = await take(outbox)
    for state in (WebhookState.PENDING, WebhookState.FAILED):
        await outbox.settle(paused, state, wait_s=0)
        assert await story(redis, job_id) == ("pending", "2")
        assert await take(outbox) == []
    await outbox.settle(paused, WebhookState.DELIVERED)
    for state in WebhookState:
        await outbox.settle(newer, state, wait_s=0)
    assert await story(redis, job_id) == ("delivered", "2")
    assert await redis.exists(KEY) == 0


async def test_a_job_that_is_forgotten_leaves_nothing_behind(
    store: JobStore, outbox: WebhookOutbox, redis: Redis
) -> None:
    due, taken = await ended(store), await ended(store)
    await redis.zadd(KEY, {due: 9e15})
    [delivery] = await take(outbox)
    await redis.delete(f"darkroom:job:{due}", f"darkroom:job:{taken}")
    await make_due(redis)
    await outbox.settle(delivery, WebhookState.PENDING, wait_s=5)
    assert await take(outbox) == []
    assert await redis.exists(KEY, f"darkroom:job:{due}", f"darkroom:job:{taken}") == 0


async def test_a_delivery_makes_no_job_live_longer(store: JobStore, outbox: WebhookOutbox, redis: Redis) -> None:
    job_id = await ended(store)
    [delivery] = await take(outbox)
    await outbox.settle(delivery, WebhookState.DELIVERED)
    assert 3590 < await redis.ttl(f"darkroom:job:{job_id}") <= 3600


async def test_no_more_are_taken_than_asked_for_and_to_one_host(store: JobStore, outbox: WebhookOutbox) -> None:
    for _ in range(6):
        await ended(store)
    for _ in range(3):
        await ended(store, kept("two.example"))
    assert len(await take(outbox, 3)) == 3
    taken = await take(outbox, busy={"host one.example": 3})
    assert [delivery.host for delivery in taken] == ["one.example", *["two.example"] * 3]
    assert await take(outbox, busy={"host one.example": 4}) == []
    assert len(await take(outbox)) == 2


async def test_no_more_are_taken_for_one_owner_wherever_they_go(store: JobStore, outbox: WebhookOutbox) -> None:
    for number in range(20):
        await ended(store, kept(f"{number}.example"), owner="ann")
    his = [await ended(store, kept(f"{number}.example"), owner="bob") for number in range(3)]
    taken = await take(outbox, most_of_owner=8)
    assert Counter(delivery.fields["owner"] for delivery in taken) == {"ann": 8, "bob": 3}
    busy = Counter(share for delivery in taken for share in delivery.shares)
    assert await take(outbox, busy=busy, most_of_owner=8) == []
    await outbox.settle(next(one for one in taken if one.job_id == his[0]), WebhookState.PENDING, wait_s=0)
    assert [delivery.job_id for delivery in await take(outbox, busy={}, most_of_owner=1)][1:] == [his[0]]


async def test_a_crowd_for_a_busy_host_lets_those_behind_it_go_before(
    store: JobStore, outbox: WebhookOutbox, redis: Redis
) -> None:
    for _ in range(LOOK + 10):
        await ended(store)
    last = await ended(store, kept("two.example"))
    bounds: dict[str, Any] = {"busy": {"host one.example": 4}, "most_to_host": 4, "most_of_owner": 99}
    assert await outbox.take(16, **bounds) == ([], True)
    taken, more = await outbox.take(16, **bounds)
    assert ([delivery.job_id for delivery in taken], more) == ([last], False)
    assert await redis.zcard(KEY) == LOOK + 11
    await redis.zrem(KEY, last)
    await make_due(redis)
    assert len(await take(outbox)) == 4


@pytest.mark.parametrize("text", ["x", "7", '"x"', "[]", '{"url": 1}', "null"])
async def test_a_text_that_nobody_understands_stops_no_others(
    text: str, store: JobStore, outbox: WebhookOutbox
) -> None:
    odd, good = await ended(store, text), await ended(store)
    assert {delivery.job_id for delivery in await take(outbox)} == {odd, good}
