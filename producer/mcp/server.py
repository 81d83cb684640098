"""The MCP server: four tools over the client, the same on stdio and over HTTP.

It is the SDK's low-level server, as its other one would put its own words before our sentences, repeat wrong
arguments in its errors, and let unknown ones pass.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Protocol

from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    CancelledNotificationParams,
    ListToolsResult,
    PaginatedRequestParams,
)

from contract.errors.catalogue.job_failure import INTERNAL_ERROR
from contract.errors.catalogue.request import JOB_NOT_FOUND
from contract.errors.exceptions import DarkroomError, Refused, Unavailable
from contract.jobs import wording
from contract.jobs.job import Image, Job, JobEvent, JobState
from contract.telemetry.logs import about
from producer.client.owner_client import OwnerClient
from producer.error_catalogue import JOB_ALREADY_FINISHED
from producer.error_log import report
from producer.mcp.answer import FAILED, Links, answer_of, images_of, list_of, refusal_of, result_of
from producer.mcp.image_content import ImageContents
from producer.mcp.stopped_calls import StoppedCalls
from producer.mcp.tools import MAX_WAIT_S, TOOLS, CancelArguments, ListArguments, LookArguments, job_fields, read
from producer.tokens import Right

CONVERSATION = "mcp"  # what `latest` refers to: clients do not tell of which chat a call is
UNANSWERED_S = 60.0  # an equal call means the same job for so long if the first one was never answered,
ANSWERED_S = 5.0  # and for so long after its answer: clients repeat a call within a second or two
LISTED = 10
INSTRUCTIONS = (
    "Makes images in the background. generate_image answers with the images, or with a job_id when they take longer; "
    "then ask get_image_job later. A call that is cancelled cancels its job; one that times out does not: "
    "list_image_jobs finds it, and cancel_image_job stops it."
)

Request = ServerRequestContext[Any, Any]


class ToolCaller(Protocol):
    """The caller of a tool."""

    @property
    def client(self) -> OwnerClient:
        """The client of the owner whose jobs are meant."""

    def check(self, right: Right) -> None:
        """Require a right. Raises Refused (`forbidden`)."""

    async def count(self) -> None:
        """Count a submit. Raises Refused (`rate_limited`, `too_busy`), Unavailable."""

    async def count_miss(self) -> None:
        """Count that somebody asked for what does not exist. Raises Refused (`rate_limited`), Unavailable."""

    def wait(self) -> AbstractContextManager[bool]:
        """Be among the answers that wait for a while, if there is room, and tell if so."""

    async def may_show(self) -> bool:
        """Wait a moment for a place among the answers with images, and tell if there is one."""

    def links(self, image: Image) -> Links:
        """Tell where an image can be had."""

    def status_url(self, job_id: str) -> str | None:
        """Tell at which address a job is looked at, if there is one."""


Tool = Callable[[Request, ToolCaller, Mapping[str, Any]], Awaitable[CallToolResult]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """Where tools are called."""

    prints: ImageContents
    wait_s: float
    stopped: StoppedCalls = field(default_factory=StoppedCalls)

    async def generate(self, request: Request, caller: ToolCaller, given: Mapping[str, Any]) -> CallToolResult:
        """Submit a job, and wait for it a while; an equal call that arrives meanwhile gets the same job.

        A client that cancels the call cancels the job.
        """
        until = asyncio.get_running_loop().time() + min(self.wait_s, MAX_WAIT_S)
        caller.check(Right.SUBMIT)
        await caller.count()
        fields, key = job_fields(given)
        what = json.dumps(["mcp", fields], sort_keys=True)
        submitting = asyncio.create_task(self._submit(caller.client, what, fields, key))
        with self.stopped.watch(request, caller.client, submitting):
            job, is_repeat = await asyncio.shield(submitting)
            job = await _follow(request, caller, job, until=until)
            result = await self._show(caller, job, is_repeat=is_repeat, is_error=job.state in FAILED)
            if key is None and not caller.client.connections.is_stopping:
                with suppress(Unavailable):
                    await caller.client.recent.note(what, job, for_s=ANSWERED_S)
            return result

    async def look(self, request: Request, caller: ToolCaller, given: Mapping[str, Any]) -> CallToolResult:
        """Tell how a job stands, at its end or after a while."""
        until = asyncio.get_running_loop().time()
        caller.check(Right.READ)
        asked = read(given, LookArguments)
        job = await caller.client.get(asked.job_id)
        job = await _follow(request, caller, job, until=until + (asked.wait_seconds or 0))
        return await self._show(caller, job)

    async def cancel(self, _: Request, caller: ToolCaller, given: Mapping[str, Any]) -> CallToolResult:
        """Cancel a job; one that is over otherwise is refused."""
        caller.check(Right.SUBMIT)
        job, _was_possible = await caller.client.cancel(read(given, CancelArguments).job_id)
        if job.state is not JobState.CANCELLED:
            raise Refused(JOB_ALREADY_FINISHED, state=job.state)
        return await self._show(caller, job)

    async def list(self, _: Request, caller: ToolCaller, given: Mapping[str, Any]) -> CallToolResult:
        """List jobs."""
        caller.check(Right.READ)
        asked = read(given, ListArguments)
        state = frozenset({JobState(asked.state)}) if asked.state else None
        jobs, following = await caller.client.page(before=asked.cursor, limit=asked.limit or LISTED, state=state)
        return result_of(list_of(jobs, following, status_url=caller.status_url))

    async def _submit(
        self, client: OwnerClient, what: str, fields: dict[str, Any], key: str | None
    ) -> tuple[Job, bool]:
        """Submit a job, or find the job of an equal call; tell whether it is one."""

        async def accept(key: str) -> tuple[Job, bool]:
            return await client.accept(conversation=CONVERSATION, idempotency_key=key, **fields)

        return await (accept(key) if key is not None else client.recent.once(what, accept, for_s=UNANSWERED_S))

    async def _show(
        self, caller: ToolCaller, job: Job, *, is_repeat: bool = False, is_error: bool = False
    ) -> CallToolResult:
        """Tell how a job stands, with its images when it is over."""
        expected = None
        with suppress(Unavailable):
            expected = (await caller.client.expectations([job])).get(job.id)
        shows = job.is_over and bool(job.images) and await caller.may_show()
        prints = await self.prints.of(caller.client, job.images) if shows else [None] * len(job.images)
        images = images_of(job, prints, [caller.links(image) for image in job.images])
        url = caller.status_url(job.id)
        answer = answer_of(job, expected=expected, images=images, is_repeat=is_repeat, status_url=url)
        return result_of(answer, prints, is_error=is_error)


def build_server(tools: Tools, welcome: Callable[[Any], ToolCaller]) -> Server[dict[str, Any]]:
    """Build the server; `welcome` identifies the caller, by the HTTP request if there is one."""
    by_name: dict[str, Tool] = {
        "generate_image": tools.generate,
        "get_image_job": tools.look,
        "cancel_image_job": tools.cancel,
        "list_image_jobs": tools.list,
    }

    async def list_tools(_: Request, __: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=list(TOOLS))

    async def call_tool(request: Request, call: CallToolRequestParams) -> CallToolResult:
        if call.name not in by_name:
            raise MCPError(code=INVALID_PARAMS, message="There is no such tool.")
        with about(request_id=request.request.state.request_id if request.request else ""):
            return await _answered(
                call.name, by_name[call.name], request, welcome(request.request), call.arguments or {}
            )

    async def hear_cancelled(request: Request, params: CancelledNotificationParams) -> None:
        tools.stopped.hear(request, params)

    server = Server(
        "darkroom",
        version=version("nanobot-darkroom"),
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )
    server.add_notification_handler("notifications/cancelled", CancelledNotificationParams, hear_cancelled)
    return server


async def _answered(
    name: str, tool: Tool, request: Request, caller: ToolCaller, given: Mapping[str, Any]
) -> CallToolResult:
    """Call a tool; whatever goes wrong becomes a sentence."""
    try:
        return await tool(request, caller, given)
    except DarkroomError as error:
        told = await _counted(error, caller)
        report(told, f"tool {name}")
        return refusal_of(told)
    except Exception as mistake:  # noqa: BLE001 - it is logged
        told = DarkroomError(INTERNAL_ERROR)
        report(told, f"tool {name}", mistake=mistake)
        return refusal_of(told)


async def _counted(error: DarkroomError, caller: ToolCaller) -> DarkroomError:
    """Count an error if it is a miss; answer it, or that there were too many."""
    if error.code == JOB_NOT_FOUND.code:
        try:
            await caller.count_miss()
        except (Refused, Unavailable) as instead:
            return instead
    return error


async def _follow(request: Request, caller: ToolCaller, job: Job, *, until: float) -> Job:
    """Wait for a job until some time, if there is room for one more who waits; answer how it stands."""
    if job.is_over or until <= asyncio.get_running_loop().time():
        return job
    with caller.wait() as may_wait:
        return await _waited(request, caller.client, job, until=until) if may_wait else job


async def _waited(request: Request, client: OwnerClient, job: Job, *, until: float) -> Job:
    """Wait for a job until some time, and tell a client that wants to know how it goes; answer how it stands.

    When Redis goes away meanwhile, that is how it stood before.
    """
    wants_to_know = bool(request.meta and "progress_token" in request.meta)
    told: tuple[int, str] | None = None
    with suppress(TimeoutError, Unavailable):
        async with asyncio.timeout_at(until):
            async for event in client.events(job.id):
                if wants_to_know:
                    job = await client.get(job.id)
                    if (telling := (job.progress.done, _told(event, job))) != told:
                        told = telling
                        await request.session.report_progress(job.progress.done, job.progress.count, telling[1])
    with suppress(Unavailable):
        job = await client.get(job.id)
    return job


def _told(event: JobEvent, job: Job) -> str:
    """Say what has happened, or how the job stands where that says more."""
    return wording.told(event) if event.type in ("attempt", "retry", "fallback", "waiting") else job.progress.message
