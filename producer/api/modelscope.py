"""ModelScope's asynchronous image API, so that nanobot's built-in tool uses Darkroom by configuration alone.

`POST /v1/images/generations` with `X-ModelScope-Async-Mode: true` answers a task's id; `GET /v1/tasks/{id}` tells how
it stands. nanobot gives up at any status but 200 and after 60 questions, so each one is held for a while, and an
outage of Redis is told as PROCESSING. Who asks no more has gone: the job is cancelled.
"""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from contract.errors import Refused, Unavailable
from contract.job import Image, Job, JobState
from producer.api.caller import Caller, Reader
from producer.api.data_url import decode, encode
from producer.api.gateway import Gateway, Here
from producer.api.openai_request import read_order
from producer.api.openai_schema import TASK
from producer.api.uploads import keep
from producer.api.view import json_response

HOLD_S = 25.0  # less than the 30 s that clients wait for a first byte
LINGER_S = 60.0  # they ask every 5 s

_STATUS = {JobState.QUEUED: "PENDING", JobState.RUNNING: "PROCESSING", JobState.SUCCEEDED: "SUCCEED"}

router = APIRouter(prefix="/v1/tasks", tags=["ModelScope"])


def is_meant(request: Request) -> bool:
    """Tell whether a request to make images is one of ModelScope's clients."""
    return request.headers.get("x-modelscope-async-mode", "").lower() == "true"


async def submit(request: Request, gateway: Gateway, caller: Caller, body: dict[str, Any]) -> Response:
    """Hand a job in and answer its id at once."""
    headers = await gateway.rates.count(f"{caller.token.name}\n{caller.owner}")
    order = read_order(body, gateway.settings)
    urls = body.get("image_url") or []
    urls = [urls] if isinstance(urls, str) else urls
    if not (isinstance(urls, list) and all(isinstance(url, str) for url in urls)):
        raise Refused("type_error", field="image_url", expected="it must be a data URL, or a list of some").at(
            "image_url"
        )
    pictures = [await asyncio.to_thread(decode, url) for url in urls]
    order.fields["reference_images"] = [(await keep(gateway, caller, picture))["id"] for picture in pictures]
    job = (await caller.door.accept(**order.fields)).job
    with gateway.attendance.wait_for(job.id, caller.door, linger_s=LINGER_S):
        pass  # from now on it is waited for by asking
    return json_response({"task_id": job.id, "task_status": _STATUS[JobState.QUEUED]}, headers=headers)


@router.get("/{task_id}", responses=TASK)
async def look(gateway: Here, caller: Reader, task_id: str) -> Response:
    """Tell how a task stands; the answer is held until it is over, but for half a minute at most."""
    try:
        job = await caller.door.get(task_id)
        with gateway.attendance.wait_for(job.id, caller.door, linger_s=LINGER_S):
            job = await caller.door.wait(task_id, timeout_s=HOLD_S)
    except Unavailable:
        return json_response({"task_id": task_id, "task_status": "PROCESSING"})
    if job.is_over:
        gateway.attendance.stay(job.id)
    return json_response(await shown(caller, job))


async def shown(caller: Caller, job: Job) -> dict[str, Any]:
    """Write a job as a task; its images are in it, as clients open no links to addresses nearby."""
    task: dict[str, Any] = {"task_id": job.id, "task_status": _STATUS.get(job.state, "FAILED")}
    if job.state is JobState.SUCCEEDED:
        task["output_images"] = [await _data_url(caller, image) for image in job.images]
    elif job.is_over:
        detail = job.error.detail if job.error else job.progress.message
        task["errors"] = {"message": detail}
        task["message"] = detail
    return task


async def _data_url(caller: Caller, image: Image) -> str:
    path = await caller.door.gallery.find(image.id)
    return await asyncio.to_thread(lambda: encode(path.read_bytes(), image.mime))
