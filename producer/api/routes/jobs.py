"""Jobs over HTTP: submit, get, wait for, cancel, retry, list, delete."""

from __future__ import annotations

import re
from contextlib import nullcontext
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from contract.errors.catalogue.request import TYPE_ERROR, UNKNOWN_FIELD
from contract.errors.exceptions import Refused
from contract.jobs.ids import MAX_CONVERSATION, check_conversation
from contract.jobs.job import JobState
from contract.jobs.page import CURSOR_PATTERN
from producer.api.authentication import Caller, Reader, Submitter
from producer.api.dependencies import Gateway, Here
from producer.api.job_json import etag_of, job_json, jobs_json, json_response, polling_hint
from producer.api.openapi import BODY, JOB_LIST, SUBMIT, errors, job_answer
from producer.api.requests import idempotency_key, read_json
from producer.api.services.cancel_on_disconnect import while_present
from producer.client.owner_client import Accepted
from producer.error_catalogue import JOB_ALREADY_FINISHED

MAX_WAIT_S = 60

# Only told: our own words for what is wrong are better than a pattern's.
_STATE = f"({'|'.join(JobState)})"
_STATES: dict[str, Any] = {"pattern": f"^{_STATE}(,{_STATE})*$"}
_CURSOR: dict[str, Any] = {"pattern": f"^{CURSOR_PATTERN}$"}
_PREFER_WAIT = re.compile(r"(?:^|[,;]\s*)wait\s*=\s*\"?(\d{1,6})\b")

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
Wait = Annotated[int, Query(ge=0, le=MAX_WAIT_S, description="Seconds to wait for the job to end.")]


@router.post(
    "",
    status_code=202,
    openapi_extra=SUBMIT,
    responses=job_answer(200, 202) | errors(*BODY),
)
async def submit(request: Request, gateway: Here, caller: Submitter) -> Response:
    """Submit a job: 202, or 200 if it ended within `Prefer: wait=N`."""
    rates = await caller.count(gateway)
    fields = read_fields(await read_json(request))
    accepted = await caller.client.accept(idempotency_key=idempotency_key(request), **fields)
    return await _accepted(request, gateway, caller, accepted, rates)


@router.get("", responses=JOB_LIST | errors())
async def list_jobs(
    request: Request,
    gateway: Here,
    caller: Reader,
    state: Annotated[
        str | None, Query(description="Only jobs in these states, separated by commas.", json_schema_extra=_STATES)
    ] = None,
    conversation: Annotated[
        str | None, Query(max_length=MAX_CONVERSATION, description="Only jobs of this conversation.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="The largest number of jobs; large ones are fewer.")] = 20,
    cursor: Annotated[str | None, Query(description="`next` of the previous page.", json_schema_extra=_CURSOR)] = None,
) -> Response:
    """List your jobs, newest first."""
    jobs, following = await caller.client.page(
        before=cursor, limit=limit, state=_states(state), conversation=conversation
    )
    return json_response({"jobs": await jobs_json(request, gateway, caller, jobs), "next": following})


@router.get("/{job_id}", responses=job_answer(200) | errors("404"))
async def look(request: Request, gateway: Here, caller: Reader, job_id: str, wait: Wait = 0) -> Response:
    """Look at a job; with `wait` the answer comes when the job is over, or after so many seconds."""
    with gateway.waits.join(caller.owner) if wait else nullcontext():
        job = await caller.client.get(job_id)
        if wait and not job.is_over:
            job = await while_present(request, caller.client.wait(job_id, timeout_s=wait))
    shown = await job_json(request, gateway, caller, job)
    headers = {"ETag": etag_of(shown), "Cache-Control": "private, no-cache"} | polling_hint(job, shown["eta_seconds"])
    if headers["ETag"] in [tag.strip() for tag in request.headers.get("if-none-match", "").split(",")]:
        return Response(status_code=304, headers=headers)
    return json_response(shown, headers=headers)


@router.post("/{job_id}/cancel", responses=job_answer(200) | errors("404", "409"))
async def cancel(request: Request, gateway: Here, caller: Submitter, job_id: str) -> Response:
    """Cancel a job. Cancelling twice is not an error; 409 if it has ended in another way."""
    job, _ = await caller.client.cancel(job_id)
    if job.state is not JobState.CANCELLED:
        raise Refused(JOB_ALREADY_FINISHED, state=job.state)
    return json_response(await job_json(request, gateway, caller, job))


@router.post("/{job_id}/retry", status_code=202, responses=job_answer(200, 202) | errors("404", "409"))
async def retry(request: Request, gateway: Here, caller: Submitter, job_id: str) -> Response:
    """Submit the request of an ended job again; `retry_of` is that job's id."""
    rates = await caller.count(gateway)
    accepted = await caller.client.retry(job_id, idempotency_key=idempotency_key(request))
    return await _accepted(request, gateway, caller, accepted, rates)


@router.delete("/{job_id}", status_code=204, responses=errors("404"))
async def delete(caller: Submitter, job_id: str) -> Response:
    """Forget a job, and remove its images; one that is not over is cancelled first."""
    await caller.client.delete(job_id)
    return Response(status_code=204)


async def _accepted(
    request: Request, gateway: Gateway, caller: Caller, accepted: Accepted, headers: dict[str, str]
) -> Response:
    """Answer that a job was accepted, or, if the caller prefers to wait and it is done by then, how it ended."""
    job, headers = accepted.job, dict(headers)
    if accepted.is_replayed:
        headers["Idempotent-Replayed"] = "true"
    with gateway.waits.join_if_possible(caller.owner) as may_wait:
        if may_wait and (wait := _preferred_wait(request)):
            headers["Preference-Applied"] = f"wait={wait}"
            job = await while_present(request, caller.client.wait(job.id, timeout_s=wait))
    shown = await job_json(request, gateway, caller, job)
    headers |= {"Location": shown["status_url"]} | polling_hint(job, shown["eta_seconds"])
    return json_response(shown, status=200 if job.is_over else 202, headers=headers)


def read_fields(body: dict[str, Any]) -> dict[str, Any]:
    """Check the fields of a body that are not a JobRequest's. Raises Refused."""
    check_conversation(body.get("conversation"))
    for name in ("webhook_url", "webhook_secret"):
        if not (body.get(name) is None or isinstance(body[name], str)):
            raise _wrong(name, "it must be text")
    if "idempotency_key" in body:  # it has a header
        raise Refused(UNKNOWN_FIELD, field="idempotency_key", suggestion="the header Idempotency-Key").at(
            "idempotency_key"
        )
    return body


def _preferred_wait(request: Request) -> int:
    found = _PREFER_WAIT.search(request.headers.get("prefer", ""))
    return min(int(found[1]), MAX_WAIT_S) if found else 0


def _states(text: str | None) -> frozenset[JobState] | None:
    if text is None:
        return None
    try:
        return frozenset(JobState(word) for word in text.split(","))
    except ValueError as error:
        raise Refused(TYPE_ERROR, field="state", expected=f"it must be of {', '.join(JobState)}").at(
            "query", "state"
        ) from error


def _wrong(field: str, expected: str) -> Refused:
    return Refused(TYPE_ERROR, field=field, expected=expected).at(field)
