"""Which cancelled calls take their jobs with them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from mcp_types import CancelledNotificationParams

from contract.errors.catalogue.request import PROMPT_REQUIRED
from contract.errors.exceptions import Refused
from contract.jobs.job import Job
from producer.client.owner_client import OwnerClient
from producer.mcp import stopped_calls
from producer.mcp.stopped_calls import StoppedCalls, has_timed_out
from tests.support.factories.ended_job import a_job

STOPS = [
    *("", "caller cancelled", "AbortError: This operation was aborted", "User cancelled", "context canceled"),
    "McpError: MCP error -32001: AbortError: This operation was aborted",  # as a program that relays it may say
]
TIME_OUTS = [
    "McpError: MCP error -32001: Request timed out",
    "McpError: MCP error -32001: Maximum total timeout exceeded",
    "SdkError: Request timed out",
    "TimeoutError: The operation was aborted due to timeout",
    "timed out after 30.0s",
    "request timeout",
    "context deadline exceeded",
    "Time-out",
]


class Client:
    """Remembers which jobs are cancelled."""

    def __init__(self) -> None:
        self.cancelled: list[str] = []

    async def cancel(self, job_id: str) -> None:
        """Cancel a job."""
        self.cancelled.append(job_id)


def request(number: int | str, session: str | None = None) -> Any:
    """Make a request of a session over HTTP, or of the client on stdio."""
    http = None if session is None else SimpleNamespace(headers={"mcp-session-id": session} if session else {})
    return SimpleNamespace(request_id=number, request=http)


async def accepted(after: Awaitable[Any] | None = None) -> tuple[Job, bool]:
    """Submit the one job."""
    if after is not None:
        await after
    return a_job(), False


async def refused() -> tuple[Job, bool]:
    """Submit what is refused."""
    raise Refused(PROMPT_REQUIRED)


class Calls:
    """Calls that wait for ever."""

    def __init__(self) -> None:
        self.stopped = StoppedCalls()
        self.client = Client()

    async def begin(self, what: Any, submit: Any = None) -> asyncio.Task[None]:
        """Begin a call."""
        begun = asyncio.Event()

        async def call() -> None:
            submitting = asyncio.create_task(submit or accepted())
            with self.stopped.watch(what, cast(OwnerClient, self.client), submitting):
                begun.set()
                await asyncio.shield(submitting)
                await asyncio.Event().wait()

        task = asyncio.create_task(call())
        await begun.wait()
        return task

    def cancel(self, task: asyncio.Task[None], what: Any, reason: str | None = None) -> None:
        """Cancel a call as the SDK does: first its handler, then comes the notification."""
        task.cancel()
        params = CancelledNotificationParams(request_id=what.request_id, reason=reason)
        asyncio.get_running_loop().call_soon(self.stopped.hear, what, params)

    async def settle(self, *tasks: asyncio.Task[None]) -> list[str]:
        """Wait for the end of calls; answer the jobs that were cancelled."""
        await asyncio.wait(tasks)
        await asyncio.gather(*self.stopped._ending)
        return self.client.cancelled


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.mark.parametrize("reason", STOPS)
def test_a_stop_is_no_time_out(reason: str) -> None:
    assert not has_timed_out(reason)


@pytest.mark.parametrize("reason", TIME_OUTS)
def test_a_time_out_is_told_by_its_reason(reason: str) -> None:
    assert has_timed_out(reason)


@pytest.mark.parametrize("reason", [None, 7, ["timed out"]])
def test_what_is_no_text_is_no_time_out(reason: object) -> None:
    assert not has_timed_out(reason)


@pytest.mark.parametrize("session", [None, "s"])
async def test_a_call_that_is_stopped_takes_its_job_with_it(calls: Calls, session: str | None) -> None:
    task = await calls.begin(request(7, session))
    calls.cancel(task, request("7", session))
    assert await calls.settle(task) == [a_job().id]


async def test_a_call_whose_client_has_timed_out_leaves_its_job(calls: Calls) -> None:
    task = await calls.begin(what := request(7))
    calls.cancel(task, what, "request timeout")
    assert await calls.settle(task) == []


async def test_a_job_that_is_still_being_submitted_is_cancelled_once_it_is_there(calls: Calls) -> None:
    there = asyncio.Event()
    task = await calls.begin(what := request(7), accepted(there.wait()))
    calls.cancel(task, what)
    await asyncio.wait({task})
    assert calls.client.cancelled == []
    there.set()
    assert await calls.settle(task) == [a_job().id]


async def test_a_job_that_another_call_waits_for_goes_on_until_that_is_stopped(calls: Calls) -> None:
    first, second = request(1, "a"), request(1, "b")
    tasks = [await calls.begin(each) for each in (first, second)]
    calls.cancel(tasks[0], first)
    assert await calls.settle(tasks[0]) == []
    calls.cancel(tasks[1], second)
    assert await calls.settle(tasks[1]) == [a_job().id]


@pytest.mark.parametrize("other", [request(7, "other"), request(8, "s"), request(7)])
async def test_only_its_own_session_stops_a_call(calls: Calls, other: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopped_calls, "REASON_S", 0.01)
    task = await calls.begin(request(7, "s"))
    calls.cancel(task, other)
    assert await calls.settle(task) == []


async def test_a_client_without_a_session_that_goes_away_leaves_its_job(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopped_calls, "REASON_S", 0.01)
    task = await calls.begin(request(7, ""))
    calls.cancel(task, request(7, ""))
    assert await calls.settle(task) == []


async def test_a_call_that_was_refused_has_no_job(calls: Calls) -> None:
    task = await calls.begin(request(7), refused())
    assert await calls.settle(task) == []
    assert isinstance(task.exception(), Refused)
    assert not calls.stopped._calls


async def test_what_ends_without_a_reason_holds_nothing_up(calls: Calls) -> None:
    task = await calls.begin(request(7))
    task.cancel()
    await asyncio.wait({task})
    async with asyncio.timeout(1):
        await calls.stopped.close()
    assert (calls.client.cancelled, calls.stopped._calls) == ([], {})
