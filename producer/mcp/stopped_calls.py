"""What becomes of the job of a call that its client cancels.

The SDK ends the call and tells its handler nothing of the reason. A client whose user has stopped the call wants no
images any more; one that only waits no longer says so in the reason, and its user still wants them. Where a client
closes the connection instead (MCP of 2026 over HTTP), both look the same, and the job goes on.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from mcp_types import CancelledNotificationParams, RequestId

from contract.errors.exceptions import DarkroomError
from contract.jobs.job import Job
from producer.client.owner_client import OwnerClient

REASON_S = 2.0  # until the notification that ended a call is here
CLOSE_S = 3.0
# Of the SDKs: "McpError: MCP error -32001: Request timed out" (TypeScript), "timed out after 30s" (Python), "request
# timeout" (Rust), "context deadline exceeded" (Go).
_TIMED_OUT = re.compile(r"time[sd]?[ _-]?out|deadline", re.IGNORECASE)

Request = ServerRequestContext[Any, Any]
Submitting = asyncio.Task[tuple[Job, bool]]


def has_timed_out(reason: object) -> bool:
    """Tell from the reason of a cancellation whether the client has only stopped waiting."""
    return isinstance(reason, str) and _TIMED_OUT.search(reason) is not None


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    """A call under way: the submit of its job, and the reason once it is cancelled."""

    submitting: Submitting
    reason: asyncio.Future[str]

    def has(self, job: Job) -> bool:
        """Tell whether it waits for a job."""
        return _is_there(self.submitting) and self.submitting.result()[0].id == job.id


class StoppedCalls:
    """Cancels the jobs of calls that users have stopped."""

    def __init__(self) -> None:
        self._calls: dict[tuple[str, str], _Call] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def hear(self, request: Request, params: CancelledNotificationParams) -> None:
        """Note why a client has cancelled one of its calls."""
        call = self._calls.get(_name(request, params.request_id))
        if call is not None and not call.reason.done():
            call.reason.set_result(params.reason or "")

    @contextmanager
    def watch(self, request: Request, client: OwnerClient, submitting: Submitting) -> Iterator[None]:
        """Cancel the job of a call that is stopped within this block."""
        name = _name(request, request.request_id)
        call = self._calls[name] = _Call(submitting, asyncio.get_running_loop().create_future())
        try:
            yield
        except asyncio.CancelledError:
            ending = asyncio.create_task(self._end(name, call, client))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
            raise
        except BaseException:
            self._forget(name, call)
            raise
        self._forget(name, call)

    async def close(self) -> None:
        """Let what has begun come to its end; no reasons are heard any more."""
        for call in self._calls.values():
            if not call.reason.done():
                call.reason.cancel()
        if self._ending:
            await asyncio.wait(self._ending, timeout=CLOSE_S)

    async def _end(self, name: tuple[str, str], call: _Call, client: OwnerClient) -> None:
        """Cancel the job of a call, unless its client timed out or went away, or another call waits for the job."""
        await asyncio.wait({call.reason}, timeout=REASON_S)
        is_unwanted = _is_there(call.reason) and not has_timed_out(call.reason.result())
        self._forget(name, call)
        with suppress(DarkroomError):
            job, _ = await call.submitting
            if is_unwanted and not any(other.has(job) for other in self._calls.values()):
                await client.cancel(job.id)

    def _forget(self, name: tuple[str, str], call: _Call) -> None:
        if self._calls.get(name) is call:
            del self._calls[name]


def _name(request: Request, call: RequestId | None) -> tuple[str, str]:
    """Name a call by its session and its id, the SDK takes 7 and "7" for one; without a session nobody cancels it."""
    if request.request is None:  # stdio, which has one client
        return "", str(call)
    return request.request.headers.get(MCP_SESSION_ID_HEADER) or f"none {id(request)}", str(call)


def _is_there(result: asyncio.Future[Any]) -> bool:
    return result.done() and not result.cancelled() and result.exception() is None
