"""ModelScope's asynchronous image API, so that nanobot's built-in tool uses Darkroom by configuration alone.

`POST /v1/images/generations` with `X-ModelScope-Async-Mode: true` answers a task's id; `GET /v1/tasks/{id}` tells how
it stands. nanobot gives up at any status but 200 and after 60 questions, so each one is held for a while, and an
outage of Redis is reported as PROCESSING. If the client disconnects or stops polling, the job is cancelled.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, ExitStack, nullcontext
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from contract.errors.exceptions import Unavailable
from contract.jobs.job import Job, JobState
from producer.api.authentication import Caller, Reader
from producer.api.dependencies import Gateway, Here
from producer.api.job_json import json_response
from producer.api.openai.bodies.json_images import open_json_images
from producer.api.openai.bodies.pictures import keep_references, references_in
from producer.api.openai.chunked_json import MARK, ChunkedJSONResponse, Part, interleave
from producer.api.openai.openapi import TASK
from producer.api.openai.request import read_openai_request
from producer.api.openai.response import about, stored_base64
from producer.api.services.cancel_on_disconnect import while_present
from producer.imaging.turns import Asker

NO_RATIO = "1024x1024"  # nanobot's tool sends it where no ratio is named that it knows
HOLD_S = 25.0  # less than the 30 s that clients wait for a first byte

_STATUS = {JobState.QUEUED: "PENDING", JobState.RUNNING: "PROCESSING", JobState.SUCCEEDED: "SUCCEED"}

router = APIRouter(prefix="/v1/tasks", tags=["ModelScope"])


def is_meant(request: Request) -> bool:
    """Tell whether a request to make images is one of ModelScope's clients."""
    return request.headers.get("x-modelscope-async-mode", "").lower() == "true"


async def submit(request: Request, gateway: Gateway, caller: Caller) -> Response:
    """Submit a job and return its id immediately."""
    headers = await caller.count(gateway)
    async with open_json_images(request) as body:
        order = read_openai_request(body, gateway.settings)
        references = references_in(body.items())
        if references and body.get("size") == NO_RATIO and not body.get("aspect_ratio"):
            del order.fields["aspect_ratio"]  # an edit keeps that of its first reference
        order.fields["reference_images"] = await keep_references(request, gateway, caller, references)
    job = (await caller.client.accept(**order.fields)).job
    async with _waiting(gateway, job):
        pass  # from now on it is waited for by asking
    return json_response({"task_id": job.id, "task_status": _STATUS[JobState.QUEUED]}, headers=headers)


@router.get("/{task_id}", responses=TASK)
async def look(request: Request, gateway: Here, caller: Reader, task_id: str) -> Response:
    """Tell how a task stands; the answer is held until it is over, but for half a minute at most, if there is room.

    Raises ClientDisconnect.
    """
    try:
        job = await caller.client.get(task_id)
        # A job that was submitted otherwise is not cancelled when polling stops.
        async with _waiting(gateway, job) if await gateway.disconnects.expects(job.id) else nullcontext():
            job = await _held(request, gateway, caller, job)
        with ExitStack() as place:
            if job.state is JobState.SUCCEEDED and not place.enter_context(
                gateway.answers.join_if_possible(Asker(caller.owner).turn)
            ):
                return _unfinished(task_id)
            parts = await shown(gateway, caller, job)
            if job.is_over:
                await gateway.disconnects.stay(job.id)
            return ChunkedJSONResponse(parts, headers={}, place=place.pop_all())
    except Unavailable:
        return _unfinished(task_id)


def _unfinished(task_id: str) -> Response:
    """Have a client ask again: it gives up at every other answer."""
    return json_response({"task_id": task_id, "task_status": "PROCESSING"})


async def shown(gateway: Gateway, caller: Caller, job: Job) -> list[Part]:
    """Write a job as a task; its images are in it, as clients open no links to addresses nearby. Raises Unavailable."""
    task: dict[str, Any] = {"task_id": job.id, "task_status": _STATUS.get(job.state, "FAILED")}
    pictures: list[Part] = []
    if job.state is JobState.SUCCEEDED:
        task["output_images"] = [f"data:{image.mime};base64,{MARK}" for image in job.images]
        turn = partial(gateway.pieces.take, Asker(caller.owner).turn)
        pictures = [await stored_base64(caller.client, image, turn) for image in job.images]
        task["darkroom"] = about(job)
    elif job.is_over:
        detail = job.error.detail if job.error else job.progress.message
        task["errors"] = {"message": detail}
        task["message"] = detail
    return interleave(task, pictures)


async def _held(request: Request, gateway: Gateway, caller: Caller, job: Job) -> Job:
    with gateway.waits.join_if_possible(caller.owner) as may_wait:
        if not may_wait or job.is_over:
            return job
        return await while_present(request, caller.client.wait(job.id, timeout_s=HOLD_S))


def _waiting(gateway: Gateway, job: Job) -> AbstractAsyncContextManager[None]:
    return gateway.disconnects.wait_for(job.id, linger_s=gateway.settings.env.polling_linger_seconds)
