"""A full Redis answers, and says that it is full: whatever asks it hears `queue_full`, and never that it is silent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from contract.errors.exceptions import Unavailable
from contract.jobs.job import ReferenceSnapshot
from contract.store.new_job import ChatDelivery
from producer.chat.outbox import ChatOutbox
from tests.support.factories.job_store import JobStore
from tests.support.store.table import submitted
from worker.webhooks.outbox import WebhookOutbox, WebhookState

pytestmark = [pytest.mark.real_redis, pytest.mark.parametrize("redis", ["real"], indirect=True)]

UPLOAD = ReferenceSnapshot(source="fox.png", sha256="0" * 64, mime="image/png", bytes=80)


ASKED: dict[str, Callable[[JobStore], Awaitable[object]]] = {
    "submit": lambda store: submitted(store),
    "upload": lambda store: store.add_upload("ann", UPLOAD, most=9),
    "check": lambda store: store.check(),
    "note a request": lambda store: store.note_recent("ann", "fox", "job", for_s=60),
    "begin a request": lambda store: store.begin_recent("ann", "fox", "mark", for_s=60),
    "let a message go": lambda store: ChatOutbox(store.redis, "box").let_go("job"),
}


@pytest.mark.parametrize("name", ASKED)
async def test_what_needs_room_hears_that_redis_is_full(store: JobStore, redis: Redis, name: str) -> None:
    await redis.config_set("maxmemory", 1)
    with pytest.raises(Unavailable) as refused:
        await ASKED[name](store)
    assert (refused.value.code, refused.value.values["retry_after_s"]) == ("queue_full", 30)
    assert "full" in refused.value.detail
    assert "does not answer" not in refused.value.detail


async def test_what_was_accepted_is_told_and_delivered_although_redis_is_full(store: JobStore, redis: Redis) -> None:
    chat = ChatDelivery(outbox="box", route="r", hold_s=0)
    job_id = await submitted(store, webhook='{"host": "h"}', chat_delivery=chat)
    await redis.config_set("maxmemory", 1)
    await store.cancel(job_id)
    webhooks, letters = WebhookOutbox(redis), ChatOutbox(redis, "box")
    [delivery], _ = await webhooks.take(9, busy={}, most_to_host=9, most_of_owner=9)
    await webhooks.settle(delivery, WebhookState.DELIVERED)
    assert await letters.take(job_id, "taking")
    await letters.put_back(job_id, "taking", wait_s=0)
    assert await letters.take(job_id, "again")
    await letters.close(job_id, session="chat", note="said")
    assert await letters.notes("chat") == ["said"]
    assert (await store.news(job_id))[1][-1].type == "cancelled"
    await store.delete(job_id, owner="ann")
    await store.end_deletion(job_id)
