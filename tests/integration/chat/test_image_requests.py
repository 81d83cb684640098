"""Image requests and late delivery: what is answered in the turn, what comes by a message, and what was stopped."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from contract.jobs.job import JobState
from contract.redis.client import open_redis
from producer.chat.factory import ChatRuntime
from producer.chat.image_requests import ChatAnswer
from producer.chat.turn import Turn
from tests.support.clients.chat import CHATTY, Chat, Hand, nanobot
from tests.support.factories.real_names import ALIKE, NAMES, lay_out, spelt
from tests.support.stack.redis_server import RealRedis

DEAF = CHATTY.model_copy(update={"hears_later": False, "channel": "api"})
FOX = {"prompt": "a red fox"}


@pytest.fixture
async def redis_url(redis_server: RealRedis) -> str:
    async with open_redis(redis_server.url) as client:
        await client.flushall()
    return redis_server.url


@pytest.fixture
async def quick(tmp_path: Path, redis_url: str) -> AsyncIterator[tuple[ChatRuntime, Hand, Chat]]:
    """A nanobot whose tools do not wait."""
    chat = Chat()
    async with nanobot(tmp_path, redis_url, chat) as (opened, hand):
        yield opened, hand, chat


@pytest.fixture
async def patient(tmp_path: Path, redis_url: str) -> AsyncIterator[tuple[ChatRuntime, Hand, Chat]]:
    """A nanobot whose tools wait for long."""
    chat = Chat()
    async with nanobot(tmp_path, redis_url, chat, wait_s=30) as (opened, hand):
        yield opened, hand, chat


Stack = tuple[ChatRuntime, Hand, Chat]


def read(answer: ChatAnswer) -> dict[str, Any]:
    assert not answer.is_error, answer.text
    told: dict[str, Any] = json.loads(answer.text)
    return told


async def ordered(opened: ChatRuntime, **more: object) -> str:
    """Order something that is not waited for; its job id."""
    answer = await opened.image_requests.generate(CHATTY, FOX | more)
    return str(read(answer)["job_id"])


async def test_what_is_done_in_time_is_answered_as_nanobot_does(patient: Stack) -> None:
    opened, hand, chat = patient
    asking = asyncio.create_task(opened.image_requests.generate(CHATTY, FOX))
    [job_id] = await hand.handed_in()
    await hand.develop(job_id)
    told = read(await asking)
    [artifact] = told["artifacts"]
    assert set(artifact) == {"id", "path", "mime", "prompt", "model", "provider", "source_images", "created_at"}
    assert told == {"artifacts": [artifact], "next_step": "Show them."}
    assert await hand.chat_messages() == []
    assert chat.sent == []


async def test_what_takes_longer_comes_by_letter_after_the_model_has_answered(quick: Stack) -> None:
    opened, hand, chat = quick
    told = read(await opened.image_requests.generate(CHATTY, FOX))
    assert (told["status"], told["position"], told["eta_seconds"]) == ("queued", 0, None)
    assert "sent to this chat by themselves" in told["next_step"]
    await hand.develop(told["job_id"])
    assert chat.sent == []
    chat.has_answered.set()
    [(route, text, media)] = await chat.hears()
    assert (route.chat_id, route.session, route.thread) == ("1", "websocket:1", {"t": 1})
    assert text == "Your image is ready: “a red fox”"
    [path] = media
    assert Path(path).is_file()
    [note] = await _notes(opened)
    assert json.loads(note)["artifact_paths"] == media
    assert await opened.outbox.notes("websocket:1") == []


async def _notes(opened: ChatRuntime, session: str = "websocket:1") -> list[str]:
    """Wait until a session has something to be told."""
    async with asyncio.timeout(10):
        while not (notes := await opened.outbox.notes(session)):
            await asyncio.sleep(0.01)
    return notes


@pytest.mark.parametrize("files", [True, False])
async def test_a_letter_says_what_is_not_as_it_was_asked_for(quick: Stack, *, files: bool) -> None:
    opened, hand, chat = quick
    chat.has_answered.set()
    await hand.develop(await ordered(opened, count=3), count=2, degraded="1K timed out after 120 s", files=files)
    [(_, text, media)] = await chat.hears()
    assert len(media) == (2 if files else 0)
    if files:
        assert text.startswith("Your 2 images are ready: “a red fox”\nDelivered at 512: 1K timed out after 120 s.")
        assert "1 of 3 images could not be made." in text
    else:
        assert "same media directory" in text
        assert "/" not in text


async def test_a_failure_is_told_in_words(quick: Stack) -> None:
    opened, hand, chat = quick
    chat.has_answered.set()
    await hand.fail(await ordered(opened))
    [(_, text, media)] = await chat.hears()
    assert text.startswith("The image could not be made: “a red fox”\n")
    assert media == []
    [note] = await _notes(opened)
    assert "has ended without images" in note


async def test_what_somebody_else_has_cancelled_is_told_without_its_pictures(quick: Stack) -> None:
    opened, hand, chat = quick
    chat.has_answered.set()
    job_id = await ordered(opened, count=2)
    await hand.develop(job_id, ending=None)
    await hand.store.cancel(job_id)
    [(_, text, media)] = await chat.hears()
    assert (text, media) == ("The image you asked for was cancelled: “a red fox”", [])
    answer = await opened.image_requests.status(CHATTY, job_id, 0)
    assert (answer.is_error, answer.text) == (True, "Error: Cancelled.")


async def test_a_restart_sends_what_was_not_sent(quick: Stack, tmp_path: Path, redis_url: str) -> None:
    opened, hand, _ = quick
    job_id = await ordered(opened)
    await opened.late_delivery.close()
    await opened.outbox.let_go(job_id)  # as time does
    await hand.develop(job_id)
    chat = Chat()
    async with nanobot(tmp_path, redis_url, chat) as (again, _):
        assert again.outbox.name == opened.outbox.name
        await again.late_delivery.look()
        [(route, _, media)] = await chat.hears()
        assert (route.session, len(media)) == ("websocket:1", 1)
        await _notes(again)
        await again.late_delivery.look()
    assert len(chat.sent) == 1


@pytest.mark.parametrize("route", ["", "{}", "nonsense"])
async def test_a_letter_that_cannot_be_read_keeps_no_other_one_and_is_left_to_whose_it_is(
    quick: Stack, route: str
) -> None:
    opened, hand, chat = quick
    bad, good = await ordered(opened), await ordered(opened)
    await opened.late_delivery.close()
    await hand.store.redis.hset(f"darkroom:job:{bad}", "route", route)
    for job_id in (bad, good):
        await opened.outbox.let_go(job_id)
        await hand.develop(job_id)
    await opened.late_delivery.look()
    await chat.hears()
    await _notes(opened)
    assert await hand.chat_messages() == ([bad] if route else [])  # without a route its job is forgotten


async def test_a_route_with_what_a_newer_version_has_added_is_followed(quick: Stack) -> None:
    opened, hand, chat = quick
    job_id = await ordered(opened)
    await opened.late_delivery.close()
    route = json.loads(str(await hand.store.redis.hget(f"darkroom:job:{job_id}", "route")))
    await hand.store.redis.hset(f"darkroom:job:{job_id}", "route", json.dumps(route | {"new": {"in": "it"}}))
    await opened.outbox.let_go(job_id)
    await hand.develop(job_id)
    await opened.late_delivery.look()
    await chat.hears()
    await _notes(opened)
    assert await hand.chat_messages() == []


async def test_the_letter_of_a_job_that_cannot_be_read_stays_and_is_told_once(
    quick: Stack, caplog: pytest.LogCaptureFixture
) -> None:
    opened, hand, _ = quick
    job_id = await ordered(opened)
    await opened.late_delivery.close()
    await hand.store.redis.hset(f"darkroom:job:{job_id}", "request", "damaged")
    await opened.outbox.let_go(job_id)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await opened.late_delivery.look()
            await asyncio.gather(*opened.late_delivery._rounds.values())
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert told == ["a message is left to another version of Darkroom, which can read it"]
    assert await hand.chat_messages() == [job_id]


async def test_what_a_channel_does_not_take_is_sent_once_more(quick: Stack) -> None:
    opened, hand, chat = quick
    chat.has_answered.set()
    chat.is_broken = True
    job_id = await ordered(opened)
    await hand.develop(job_id)
    await chat.hears(1)
    assert await hand.chat_messages() == [job_id]
    chat.is_broken = False
    await opened.outbox.let_go(job_id)  # as the end of the lease does
    await opened.late_delivery.close()
    await opened.late_delivery.look()
    await chat.hears(2)
    await _notes(opened)
    assert await hand.chat_messages() == []


async def test_channels_that_are_not_there_keep_their_letters(quick: Stack) -> None:
    opened, hand, chat = quick
    job_id = await ordered(opened)
    await opened.late_delivery.close()
    await hand.develop(job_id)
    chat.channels.clear()
    await opened.late_delivery.look()
    assert chat.sent == []
    assert await hand.chat_messages() == [job_id]


async def stopped_turn(stack: Stack, turn: Turn) -> str:
    """Stop a turn that waits for its job; answer the job's id."""
    opened, hand, _ = stack
    asking = asyncio.create_task(opened.image_requests.generate(turn, FOX))
    [job_id] = await hand.handed_in()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    return job_id


async def test_a_stopped_turn_cancels_its_job_if_the_process_goes_on(patient: Stack) -> None:
    _, hand, chat = patient
    job_id = await stopped_turn(patient, CHATTY)
    assert (await hand.store.get(job_id)).state is JobState.QUEUED
    chat.works_on.set()
    async with asyncio.timeout(10):
        while (await hand.store.get(job_id)).state is not JobState.CANCELLED:
            await asyncio.sleep(0.01)
    assert await hand.chat_messages() == []


async def test_where_nothing_can_be_sent_a_stop_cancels_at_once(patient: Stack) -> None:
    job_id = await stopped_turn(patient, DEAF)
    assert (await patient[1].store.get(job_id)).state is JobState.CANCELLED


async def test_equal_calls_of_a_turn_are_different_jobs_and_a_repeated_turn_is_not(
    quick: Stack, tmp_path: Path, redis_url: str
) -> None:
    opened, _, _ = quick
    first, second = await ordered(opened), await ordered(opened)
    assert first != second
    async with nanobot(tmp_path, redis_url, Chat()) as (again, _):
        assert await ordered(again) == first


async def test_status_tells_how_a_job_stands_and_what_became_of_it(quick: Stack) -> None:
    opened, hand, _ = quick
    job_id = await ordered(opened)
    told = read(await opened.image_requests.status(CHATTY, None, 0))
    assert (told["status"], told["job_id"]) == ("queued", job_id)
    await hand.develop(job_id)
    told = read(await opened.image_requests.status(CHATTY, job_id, 0))
    assert "do not send them again" in told["next_step"]
    assert len(told["artifacts"]) == 1


async def test_cancel_writes_no_letter(quick: Stack) -> None:
    opened, hand, chat = quick
    chat.has_answered.set()
    job_id = await ordered(opened)
    assert read(await opened.image_requests.cancel(CHATTY, None))["status"] == "cancelled"
    assert read(await opened.image_requests.cancel(CHATTY, job_id))["status"] == "already_finished"
    assert await hand.chat_messages() == []
    assert chat.sent == []


@pytest.mark.parametrize("name", ["status", "cancel"])
async def test_the_jobs_of_other_chats_do_not_exist(quick: Stack, name: str) -> None:
    opened, _, _ = quick
    job_id = await ordered(opened)
    stranger = CHATTY.model_copy(update={"chat_id": "2", "session": "websocket:2"})
    arguments = (job_id, 0) if name == "status" else (job_id,)
    answer = await getattr(opened.image_requests, name)(stranger, *arguments)
    assert answer.is_error
    assert answer == await getattr(opened.image_requests, name)(stranger, None, *arguments[1:])


async def test_pictures_of_a_chat_may_be_edited_by_all_in_it_and_by_nobody_else(quick: Stack) -> None:
    opened, hand, _ = quick
    job_id = await ordered(opened)
    await hand.develop(job_id)
    [image] = (await hand.store.get(job_id)).images
    friend = CHATTY.model_copy(update={"sender_id": "bob"})
    for name in (image.id, image.path, "latest"):
        read(await opened.image_requests.generate(friend, FOX | {"reference_images": [name]}))
    stranger = CHATTY.model_copy(update={"chat_id": "2", "session": "websocket:2"})
    for name in (image.id, image.path, "latest"):
        assert (await opened.image_requests.generate(stranger, FOX | {"reference_images": [name]})).is_error


async def test_files_of_the_workspace_may_be_called_whatever_their_names_are(quick: Stack, tmp_path: Path) -> None:
    opened, hand, _ = quick
    lay_out(tmp_path)
    pairs = [*((spelt(name), name) for name in NAMES.values()), *ALIKE.values()]
    for some in (pairs[:16], pairs[16:32], pairs[32:]):
        job_id = await ordered(opened, reference_images=[asked for asked, _ in some])
        sources = [snapshot.source for snapshot in await hand.store.snapshots(job_id)]
        assert sources == [spelt(str(tmp_path / name)) for _, name in some]


@pytest.mark.parametrize("name", ["owner", "webhook_url", "chat_delivery", "conversation", "idempotency_key", "seed"])
async def test_a_model_cannot_say_more_than_a_request_has(quick: Stack, name: str) -> None:
    opened, hand, _ = quick
    answer = await opened.image_requests.generate(CHATTY, FOX | {name: "x"})
    assert answer.is_error
    assert name in answer.text
    assert await hand.store.redis.zcard("darkroom:queued") == 0


async def test_without_the_queue_a_sentence_is_answered(tmp_path: Path, own_redis: RealRedis) -> None:
    async with nanobot(tmp_path, own_redis.url, Chat()) as (opened, _):
        job_id = await ordered(opened)
        own_redis.kill()
        for answer in (
            await opened.image_requests.generate(CHATTY, FOX),
            await opened.image_requests.status(CHATTY, job_id, 0),
        ):
            assert answer.is_error
            assert "queue" in answer.text


async def test_a_job_that_was_accepted_is_not_lost_with_the_queue(tmp_path: Path, own_redis: RealRedis) -> None:
    chat = Chat()
    chat.has_answered.set()
    async with nanobot(tmp_path, own_redis.url, chat, wait_s=1) as (opened, hand):
        asking = asyncio.create_task(opened.image_requests.generate(CHATTY, FOX))
        [job_id] = await hand.handed_in()
        await hand.is_awaited()
        own_redis.kill()
        told = read(await asking)
        assert told["job_id"] == job_id
        assert "nothing is lost" in told["progress"]
        own_redis.start()
        await hand.develop(job_id)
        assert len((await chat.hears())[0][2]) == 1
