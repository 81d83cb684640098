"""The mailbox: messages of ended jobs, each sent at least once and at most twice."""

from __future__ import annotations

import secrets

import pytest
from redis.asyncio import Redis

from contract.jobs.job import JobState
from contract.store.doorbell import Doorbell
from contract.store.new_job import ChatDelivery
from producer.chat.outbox import ChatOutbox
from tests.support.factories.job_store import JobStore
from tests.support.factories.jobs import image, new_job
from tests.support.store.table import running, submitted

LETTER = ChatDelivery(outbox="box", route='{"channel":"c"}', hold_s=0)


@pytest.fixture
def box(redis: Redis) -> ChatOutbox:
    return ChatOutbox(redis, "box")


def new_name() -> str:
    return secrets.token_hex(4)


async def hand_in(store: JobStore, chat_delivery: ChatDelivery = LETTER) -> str:
    return await submitted(store, chat_delivery=chat_delivery)


async def test_a_letter_waits_for_its_job_and_for_its_turn(store: JobStore, box: ChatOutbox) -> None:
    job_id = await hand_in(store, ChatDelivery(outbox="box", route="r", hold_s=30))
    assert await box.due() == {}
    await box.let_go(job_id)
    assert await box.due() == {job_id: "r"}
    assert not await box.take(job_id, new_name())
    await store.cancel(job_id)
    assert await box.take(job_id, new_name())


async def test_a_letter_that_is_held_back_is_not_taken(store: JobStore, box: ChatOutbox) -> None:
    job_id = await hand_in(store, ChatDelivery(outbox="box", route="r", hold_s=30))
    await store.cancel(job_id)
    assert not await box.take(job_id, new_name())
    await box.let_go(job_id)
    assert await box.take(job_id, new_name())


async def test_one_that_was_taken_comes_back_once(store: JobStore, box: ChatOutbox) -> None:
    job_id = await hand_in(store)
    await store.cancel(job_id)
    assert await box.take(job_id, new_name())
    assert await box.due() == {}
    for is_there in (True, False):
        await box.let_go(job_id)  # as the end of the lease does
        assert await box.take(job_id, new_name()) is is_there
    assert not await box.close(job_id)


async def test_whoever_cancels_silently_takes_the_letter_back(store: JobStore, box: ChatOutbox) -> None:
    job_id = await hand_in(store)
    await store.cancel(job_id, silently=True)
    assert not await box.has(job_id)


async def test_a_try_that_its_channel_refused_does_not_count(store: JobStore, box: ChatOutbox) -> None:
    job_id = await hand_in(store)
    await store.cancel(job_id)
    for name in "abcde":
        assert await box.take(job_id, name)
        await box.put_back(job_id, name, wait_s=60)
        assert not await box.take(job_id, new_name())
        await box.let_go(job_id)  # as time does
    assert await box.has(job_id)


async def test_a_forgotten_job_is_not_made_again_by_its_letter(store: JobStore, box: ChatOutbox, redis: Redis) -> None:
    job_id = await hand_in(store)
    await redis.delete(f"darkroom:job:{job_id}")
    await box.put_back(job_id, "name", wait_s=60)
    assert not await redis.exists(f"darkroom:job:{job_id}")


async def test_closing_again_answers_the_same(store: JobStore, box: ChatOutbox) -> None:
    answered, taken = await hand_in(store), await hand_in(store)
    await store.cancel(taken)
    assert await box.take(taken, new_name())
    for _ in range(2):
        assert await box.close(answered)
        assert not await box.close(taken)


async def test_one_that_was_closed_is_gone_and_its_session_is_told_once(store: JobStore, box: ChatOutbox) -> None:
    job_id = await hand_in(store)
    assert await box.close(job_id, session="chat", note="said")
    assert await box.close(job_id, session="chat", note="said twice")
    assert not await box.take(job_id, new_name())
    assert await box.notes("other") == []
    assert await box.notes("chat") == ["said"]
    assert await box.notes("chat") == []


async def test_a_closed_letter_is_not_let_go_again(store: JobStore, box: ChatOutbox) -> None:
    job_id = await hand_in(store)
    await box.close(job_id)
    await box.let_go(job_id)
    assert await box.due() == {}


async def test_a_deleted_job_takes_its_letter_along(store: JobStore, box: ChatOutbox) -> None:
    job_id = await hand_in(store)
    await store.delete(job_id, owner="ann")
    assert await box.due() == {}


async def test_the_letter_of_a_forgotten_job_is_dropped(store: JobStore, box: ChatOutbox, redis: Redis) -> None:
    job_id = await hand_in(store)
    await redis.delete(f"darkroom:job:{job_id}")
    assert await box.due() == {job_id: ""}
    assert not await box.take(job_id, new_name())
    assert await box.due() == {}


async def test_a_repeated_submission_puts_one_letter_in(store: JobStore, box: ChatOutbox) -> None:
    new = new_job(chat_delivery=LETTER, idempotency_key="key")
    first, _ = await store.submit(new)
    second, is_replayed = await store.submit(new_job(chat_delivery=LETTER, idempotency_key="key"))
    assert (first, True) == (second, is_replayed)
    assert list(await box.due()) == [first]


async def test_mailbox_and_memos_are_not_kept_for_ever(redis: Redis) -> None:
    store, box = JobStore(redis, Doorbell(), retention_s=60), ChatOutbox(redis, "box")
    job_id = await hand_in(store)
    assert 0 < await redis.pttl("darkroom:mail:box") <= 1000 * (2 * 60 + 60)
    await box.close(job_id, session="chat", note="said")
    [note] = [key async for key in redis.scan_iter("darkroom:memo:*")]
    assert await redis.pttl(note) > 0


async def test_the_pictures_of_a_chat_belong_to_all_in_it(store: JobStore) -> None:
    lease = await running(store, gallery="chat:1")
    picture = image(lease.job_id, 0)
    await store.add_image(lease, picture)
    assert await store.end(lease, JobState.SUCCEEDED) is JobState.SUCCEEDED
    assert await store.image_owner_is(picture.id, "chat:1")
    assert await store.is_foreign(picture.id, "ann")
    assert await store.latest_image("chat:1", "chat") == picture.path
    await store.delete(lease.job_id, owner="ann")
    assert await store.latest_image("chat:1", "chat") is None
