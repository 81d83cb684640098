"""A task is looked at: who is waited for, and what is told in an outage."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.requests import ClientDisconnect, Request

from contract.errors.exceptions import Unavailable
from contract.jobs.job import JobState
from producer.api.authentication import Caller
from producer.api.dependencies import Gateway
from producer.api.openai.modelscope import look
from producer.api.services.cancel_on_disconnect import DisconnectTracker
from producer.api.services.piece_turns import PieceTurns
from producer.api.services.waits import Waits
from tests.support.store.presence import MemoryPresence

IMAGE = SimpleNamespace(id="img_0", mime="image/png")


class Door:
    """A door behind which a job runs on, or is over."""

    def __init__(self, state: JobState = JobState.RUNNING, *, wait_s: float = 0) -> None:
        images = [IMAGE] if state is JobState.SUCCEEDED else []
        self._job = SimpleNamespace(
            id="job",
            state=state,
            is_over=state is not JobState.RUNNING,
            images=images,
            error=SimpleNamespace(detail="It failed."),
        )
        self.owner_images = self
        self._wait_s = wait_s

    async def get(self, _: str) -> Any:
        """Look at the job."""
        return self._job

    async def wait(self, _: str, *, timeout_s: float) -> Any:
        """Wait for no time at all, or for some."""
        assert timeout_s < 30
        await asyncio.sleep(self._wait_s)
        return self._job

    async def find(self, _: str) -> Any:
        """Find no image, as Redis has gone."""
        raise Unavailable


async def stay() -> Any:
    """Be a client that does not hang up."""
    await asyncio.Event().wait()


async def hang_up() -> Any:
    """Be one that does."""
    return {"type": "http.disconnect"}


async def looked(
    door: Door, disconnects: DisconnectTracker, receive: Callable[[], Awaitable[Any]] = stay
) -> dict[str, Any]:
    """Look at the task."""
    request = Request({"type": "http"}, receive)
    env = SimpleNamespace(polling_linger_seconds=60)
    settings = SimpleNamespace(env=env)
    places = Waits(most=9, most_each=1)
    gateway = SimpleNamespace(
        disconnects=disconnects, settings=settings, waits=places, answers=places, pieces=PieceTurns()
    )
    caller = SimpleNamespace(client=door, owner="ann")
    answer: Any = await look(request, cast(Gateway, gateway), cast(Caller, caller), "job")
    parts = getattr(answer, "_parts", [answer.body])
    return dict(json.loads(b"".join(parts)))


async def test_a_job_that_is_nobodys_task_is_not_cancelled_because_it_was_looked_at() -> None:
    disconnects = DisconnectTracker(asyncio.Event(), MemoryPresence())
    assert (await looked(Door(), disconnects))["task_status"] == "PROCESSING"
    assert not await disconnects.expects("job")


async def test_a_task_is_waited_for_until_it_is_over() -> None:
    disconnects = DisconnectTracker(asyncio.Event(), MemoryPresence())
    async with disconnects.wait_for("job", linger_s=60):
        pass
    await looked(Door(), disconnects)
    assert await disconnects.expects("job")
    assert (await looked(Door(JobState.FAILED), disconnects))["message"] == "It failed."
    assert not await disconnects.expects("job")


async def test_who_hangs_up_is_waited_for_no_longer() -> None:
    disconnects = DisconnectTracker(asyncio.Event(), MemoryPresence())
    async with disconnects.wait_for("job", linger_s=60):
        pass
    with pytest.raises(ClientDisconnect):
        await looked(Door(wait_s=60), disconnects, hang_up)
    assert await disconnects.expects("job")


async def test_an_outage_between_a_jobs_end_and_its_images_is_no_error() -> None:
    assert (await looked(Door(JobState.SUCCEEDED), DisconnectTracker(asyncio.Event(), MemoryPresence())))[
        "task_status"
    ] == "PROCESSING"
