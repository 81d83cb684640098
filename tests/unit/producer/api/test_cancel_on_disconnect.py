"""A job that nobody waits for any more is cancelled, but not at once."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from contract.errors.exceptions import Unavailable
from producer.api.services.cancel_on_disconnect import DisconnectTracker
from producer.client.client import Darkroom


class Door:
    """A door that only cancels."""

    def __init__(self, *, error: Exception | None = None) -> None:
        self.cancelled: list[str] = []
        self._error = error

    async def cancel(self, job_id: str) -> tuple[object, bool]:
        """Note what was cancelled."""
        self.cancelled.append(job_id)
        if self._error:
            raise self._error
        return None, True


async def attended(door: Door, disconnects: DisconnectTracker, *, linger_s: float = 0.02) -> None:
    with disconnects.wait_for("job", cast(Darkroom, door), linger_s=linger_s):
        await asyncio.sleep(0)


@pytest.mark.parametrize("error", [None, Unavailable()])
async def test_a_job_without_clients_is_cancelled_once(error: Exception | None) -> None:
    door, disconnects = Door(error=error), DisconnectTracker(asyncio.Event())
    await attended(door, disconnects)
    assert door.cancelled == []
    await asyncio.sleep(0.1)
    assert door.cancelled == ["job"]


async def test_a_client_that_comes_back_saves_it() -> None:
    door, disconnects = Door(), DisconnectTracker(asyncio.Event())
    await attended(door, disconnects)
    with disconnects.wait_for("job", cast(Darkroom, door), linger_s=0.02):
        await asyncio.sleep(0.1)
        assert door.cancelled == []
    await asyncio.sleep(0.1)
    assert door.cancelled == ["job"]


async def test_one_client_of_two_is_enough() -> None:
    door, disconnects = Door(), DisconnectTracker(asyncio.Event())
    with disconnects.wait_for("job", cast(Darkroom, door), linger_s=0.02):
        await attended(door, disconnects)
        await asyncio.sleep(0.1)
        assert door.cancelled == []
    disconnects.stay("job")
    await asyncio.sleep(0.1)
    assert door.cancelled == []


async def test_it_knows_whom_it_waits_for() -> None:
    door, disconnects = Door(), DisconnectTracker(asyncio.Event())
    assert not disconnects.expects("job")
    with disconnects.wait_for("job", cast(Darkroom, door), linger_s=60):
        assert disconnects.expects("job")
    assert disconnects.expects("job")
    disconnects.stay("job")
    assert not disconnects.expects("job")


async def test_a_process_that_ends_cancels_nothing() -> None:
    door, disconnects = Door(), DisconnectTracker(asyncio.Event())
    await attended(door, disconnects)
    await disconnects.close()
    await asyncio.sleep(0.1)
    assert door.cancelled == []


async def test_clients_that_a_stop_has_sent_away_do_not_take_their_jobs_along() -> None:
    closing = asyncio.Event()
    door, disconnects = Door(), DisconnectTracker(closing)
    await attended(door, disconnects)
    closing.set()
    await attended(door, disconnects)
    await asyncio.sleep(0.1)
    assert door.cancelled == []
