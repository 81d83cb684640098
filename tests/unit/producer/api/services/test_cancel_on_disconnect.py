"""A job that nobody waits for any more, at any gateway, is cancelled, but not at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from producer.api.services.cancel_on_disconnect import DisconnectTracker
from tests.support.store.presence import MemoryPresence, SharedNotes

LINGER_S = 0.02


@pytest.fixture
def notes() -> SharedNotes:
    """What all gateways know."""
    return SharedNotes()


@pytest.fixture
def tracker(notes: SharedNotes) -> DisconnectTracker:
    """The clients of one gateway."""
    return DisconnectTracker(asyncio.Event(), notes.of("one"))


async def attended(disconnects: DisconnectTracker, *, linger_s: float = LINGER_S) -> None:
    async with disconnects.wait_for("job", linger_s=linger_s):
        await asyncio.sleep(0)


async def until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not is_so():
            await asyncio.sleep(0.005)


async def test_a_job_without_clients_is_cancelled_once(notes: SharedNotes, tracker: DisconnectTracker) -> None:
    await attended(tracker)
    assert notes.cancelled == []
    await until(lambda: notes.cancelled)
    await asyncio.sleep(0.1)
    assert notes.cancelled == ["job"]


async def test_a_redis_that_is_away_then_disturbs_nobody(notes: SharedNotes, tracker: DisconnectTracker) -> None:
    notes.is_away = True
    await attended(tracker)
    await asyncio.sleep(0.1)
    notes.is_away = False
    assert (notes.cancelled, await tracker.expects("job")) == ([], False)


async def test_a_client_that_comes_back_saves_it(notes: SharedNotes, tracker: DisconnectTracker) -> None:
    await attended(tracker)
    async with tracker.wait_for("job", linger_s=LINGER_S):
        await asyncio.sleep(0.1)
        assert notes.cancelled == []
    await until(lambda: notes.cancelled)


async def test_a_client_that_comes_back_at_another_gateway_saves_it(
    notes: SharedNotes, tracker: DisconnectTracker
) -> None:
    other = DisconnectTracker(asyncio.Event(), notes.of("two"))
    await attended(tracker)
    assert await other.expects("job")
    async with other.wait_for("job", linger_s=LINGER_S):
        await until(lambda: notes.notes["job"] == {"two"})  # the first one has given up
        assert notes.cancelled == []
    await until(lambda: notes.cancelled)
    assert notes.cancelled == ["job"]


async def test_one_client_of_two_is_enough(notes: SharedNotes, tracker: DisconnectTracker) -> None:
    async with tracker.wait_for("job", linger_s=LINGER_S):
        await attended(tracker)
        await asyncio.sleep(0.1)
        assert notes.cancelled == []
    await tracker.stay("job")
    await asyncio.sleep(0.1)
    assert notes.cancelled == []


async def test_it_knows_whom_it_waits_for(tracker: DisconnectTracker) -> None:
    assert not await tracker.expects("job")
    async with tracker.wait_for("job", linger_s=60):
        assert await tracker.expects("job")
    assert await tracker.expects("job")
    await tracker.stay("job")
    assert not await tracker.expects("job")


async def test_what_was_noted_is_renewed_as_soon_as_redis_is_back() -> None:
    presence = MemoryPresence()
    disconnects = DisconnectTracker(asyncio.Event(), presence)
    presence.shared.is_away = True
    async with disconnects.wait_for("job", linger_s=60):
        keeping = asyncio.create_task(disconnects.keep())
        await asyncio.sleep(0)
        presence.shared.is_away = False
        await until(lambda: presence.shared.notes["job"])
        keeping.cancel()
    await disconnects.close()


async def test_a_process_that_ends_cancels_nothing_and_waits_for_nothing(
    notes: SharedNotes, tracker: DisconnectTracker
) -> None:
    await attended(tracker)
    await tracker.close()
    await asyncio.sleep(0.1)
    assert (notes.cancelled, notes.notes["job"]) == ([], set())


async def test_clients_that_a_stop_has_sent_away_do_not_take_their_jobs_along(notes: SharedNotes) -> None:
    closing = asyncio.Event()
    disconnects = DisconnectTracker(closing, notes.of("one"))
    await attended(disconnects)
    closing.set()
    await attended(disconnects)
    await until(lambda: not notes.notes["job"])
    assert notes.cancelled == []
