"""Answers that wait for a job: whatever its client does, the attendance knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.types import Message

from contract.errors.catalogue.request import JOB_NOT_FOUND
from contract.errors.exceptions import Refused
from contract.jobs.job import Job
from producer.api.openai.response import ResponseContext
from producer.api.openai.waiting_response import EventStream, WaitingResponse
from producer.api.services.cancel_on_disconnect import DisconnectTracker
from tests.support.store.presence import MemoryPresence

JOB = cast(Job, SimpleNamespace(id="job", progress=SimpleNamespace(message="Queued.")))

SCOPE = {"type": "http", "method": "POST"}


class Door:
    """A door whose job is not over, unless it is gone."""

    def __init__(self, *, is_gone: bool = False, is_stopping: bool = False) -> None:
        self._is_gone = is_gone
        self._is_stopping = is_stopping

    async def wait(self, _: str) -> Any:
        """Wait for ever, unless the gateway stops."""
        if self._is_stopping:
            return SimpleNamespace(is_over=False)
        return await self._last()

    async def events(self, _: str) -> AsyncIterator[None]:
        """Tell nothing, for ever."""
        await self._last()
        yield

    async def _last(self) -> None:
        if self._is_gone:
            raise Refused(JOB_NOT_FOUND)
        await asyncio.Event().wait()


class Client:
    """A client that leaves after it has had some messages."""

    def __init__(self, *, stays_for: int) -> None:
        self.had: list[Message] = []
        self._left = asyncio.Event()
        self._stays_for = stays_for
        self._look()

    async def receive(self) -> Message:
        """Say when it leaves."""
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take a message."""
        self.had.append(message)
        self._look()

    def _look(self) -> None:
        if len(self.had) >= self._stays_for:
            self._left.set()


def asker(door: Door, disconnects: DisconnectTracker) -> ResponseContext:
    """Make somebody who asks at a door."""
    env = SimpleNamespace(grace_seconds=0.02, heartbeat_seconds=0.01, linger_seconds=60)
    gateway = SimpleNamespace(disconnects=disconnects, settings=SimpleNamespace(env=env))
    anything: Any = {"gateway": gateway, "caller": SimpleNamespace(client=door), "order": None}
    return ResponseContext(**anything, base="", kind="image_generation")


@pytest.mark.parametrize("kind", [WaitingResponse, EventStream])
@pytest.mark.parametrize("stays_for", [0, 1, 3])
async def test_a_job_is_left_to_the_attendance(kind: type[WaitingResponse | EventStream], stays_for: int) -> None:
    client, disconnects = Client(stays_for=stays_for), DisconnectTracker(asyncio.Event(), MemoryPresence())
    answer = kind(asker(Door(), disconnects), JOB, place=nullcontext(), headers={})
    async with asyncio.timeout(5):
        await answer(SCOPE, client.receive, client.send)
    assert await disconnects.expects("job")
    assert stays_for <= len(client.had) <= stays_for + 2
    await disconnects.close()


async def test_nothing_is_sent_to_who_leaves_in_the_time_of_grace() -> None:
    client, disconnects = Client(stays_for=0), DisconnectTracker(asyncio.Event(), MemoryPresence())
    await WaitingResponse(asker(Door(), disconnects), JOB, place=nullcontext(), headers={})(
        SCOPE, client.receive, client.send
    )
    assert client.had == []
    await disconnects.close()


@pytest.mark.parametrize(("kind", "status"), [(WaitingResponse, 404), (EventStream, 200)])
async def test_an_error_is_told(kind: type[WaitingResponse | EventStream], status: int) -> None:
    client, disconnects = Client(stays_for=99), DisconnectTracker(asyncio.Event(), MemoryPresence())
    await kind(asker(Door(is_gone=True), disconnects), JOB, place=nullcontext(), headers={"X-A": "b"})(
        SCOPE, client.receive, client.send
    )
    assert (client.had[0]["status"], (b"x-a", b"b") in client.had[0]["headers"]) == (status, True)
    assert b'"code": "job_not_found"' in b"".join(message.get("body", b"") for message in client.had)
    await disconnects.close()


async def test_a_gateway_that_stops_asks_its_clients_to_come_again_and_cancels_nothing() -> None:
    client, disconnects = Client(stays_for=99), DisconnectTracker(asyncio.Event(), MemoryPresence())
    await WaitingResponse(asker(Door(is_stopping=True), disconnects), JOB, place=nullcontext(), headers={})(
        SCOPE, client.receive, client.send
    )
    headers = dict(client.had[0]["headers"])
    assert (client.had[0]["status"], headers[b"retry-after"], headers[b"x-should-retry"]) == (503, b"1", b"true")
    assert not await disconnects.expects("job")
