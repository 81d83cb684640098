"""A job's story as server-sent events: resumable, kept alive, and without a connection to Redis of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from contract.errors.catalogue.request import JOB_NOT_FOUND
from contract.errors.exceptions import Refused
from contract.jobs import wording
from contract.jobs.ids import EVENT_ID_PATTERN, check_event_id
from contract.jobs.job import JobEvent, JobState
from producer.api.authentication import Reader
from producer.api.dependencies import Gateway, Here
from producer.api.openapi import EVENT_STREAM, errors
from producer.client.owner_client import OwnerClient

PING_S = 15
RECONNECT_MS = 2000
_ID: dict[str, Any] = {"pattern": f"^({EVENT_ID_PATTERN})$"}

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


@router.get("/{job_id}/events", response_class=EventSourceResponse, responses=EVENT_STREAM | errors("404"))
async def events(
    gateway: Here,
    caller: Reader,
    job_id: str,
    last_event_id: Annotated[str, Header(description="Continue after this event.", json_schema_extra=_ID)] = "0",
) -> Response:
    """Follow a job from its begin, or after an event, to its end. When there is nothing more to come: 204."""
    check_event_id(last_event_id)
    job = await caller.client.get(job_id)
    if job.is_over and not [event async for event in caller.client.events(job_id, after=last_event_id)]:
        return Response(status_code=204)  # it tells an EventSource not to come again
    return JobEventStream(_told(caller.client, job_id, last_event_id), gateway, caller.owner)


class JobEventStream(EventSourceResponse):
    """A stream of events that counts among its owner's."""

    def __init__(self, events: AsyncIterator[ServerSentEvent], gateway: Gateway, owner: str) -> None:
        super().__init__(events, ping=PING_S, headers={"Cache-Control": "private, no-store"})
        self._gateway, self._owner = gateway, owner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; or raise Refused (`too_many_streams`) before anything is sent."""
        async with self._gateway.stream(self._owner):
            await super().__call__(scope, receive, send)


async def _told(client: OwnerClient, job_id: str, after: str) -> AsyncIterator[ServerSentEvent]:
    try:
        async for event in client.events(job_id, after=after):
            yield server_sent(event)
    except Refused as error:  # the job was deleted, or the token revoked: the stream ends
        if error.code == JOB_NOT_FOUND.code:
            yield server_sent(JobEvent(type=JobState.CANCELLED, at=datetime.now(UTC)))


def server_sent(event: JobEvent) -> ServerSentEvent:
    """Write one event as a single line of JSON, with its words, and without the worker: its name tells the host's."""
    told = event.model_copy(update={"text": wording.told(event)}).model_dump_json(exclude={"worker"})
    return ServerSentEvent(told, event=event.type, id=event.id or None, retry=RECONNECT_MS, sep="\n")
