"""OpenAI's image API: `/v1/images/generations` and `/v1/images/edits`, whole or as a stream.

A request waits for its job on an open connection: `held.py` has how.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import UploadFile
from starlette.responses import Response

from contract.artifacts.references import MAX_TOGETHER
from contract.errors.exceptions import Refused, Unavailable
from contract.jobs.job import Job
from contract.jobs.request import MAX_REFERENCES
from producer.api.authentication import Caller, Submitter
from producer.api.dependencies import Gateway, Here
from producer.api.forms import FormImage, open_form
from producer.api.job_json import base_url
from producer.api.openai import modelscope
from producer.api.openai.data_url import images_in
from producer.api.openai.json_images import open_json_images
from producer.api.openai.openapi import EDIT, GENERATE, GENERATED
from producer.api.openai.request import OpenAIRequest, read_openai_request
from producer.api.openai.response import ResponseContext
from producer.api.openai.waiting_response import EventStream, WaitingResponse
from producer.api.requests import idempotency_key, media_type, read_json
from producer.api.services.owner_turns import end_turn
from producer.error_catalogue import IMAGE_REQUIRED, MASK_NOT_SUPPORTED
from producer.imaging.intake import keep_upload
from producer.imaging.sandbox import Picture
from producer.imaging.turns import Asker

FORM_BYTES = 2 * 2**20  # without the files

router = APIRouter(prefix="/v1/images", tags=["OpenAI"])


@router.post("/generations", openapi_extra=GENERATE, responses=GENERATED)
async def generations(request: Request, gateway: Here, caller: Submitter) -> Response:
    """Make images, as OpenAI's API does."""
    if modelscope.is_meant(request):
        return await modelscope.submit(request, gateway, caller)
    rate = await _Rate.begin(gateway, caller)
    order = read_openai_request(await read_json(request), gateway.settings)
    caller, headers = await rate.end(order.user)
    return await _develop(request, gateway, caller, order, kind="image_generation", headers=headers)


@router.post("/edits", openapi_extra=EDIT, responses=GENERATED)
async def edits(request: Request, gateway: Here, caller: Submitter) -> Response:
    """Edit images, as OpenAI's API does; a JSON body may have them as data URLs."""
    rate = await _Rate.begin(gateway, caller)
    async with _open_edit(request) as (body, images):
        if body.get("mask"):
            raise Refused(MASK_NOT_SUPPORTED).at("mask")
        if not images:
            raise Refused(IMAGE_REQUIRED).at("image")
        order = read_openai_request(body, gateway.settings)
        caller, headers = await rate.end(order.user)  # before any image is decoded
        own, asker = caller.client.owner_images, Asker(caller.owner, request.is_disconnected)
        end_turn(request.scope)  # the sandbox has turns of its own
        kept = [await keep_upload(gateway.pictures, own, image, asker=asker) for image in images]
    order.fields["reference_images"] = [upload["id"] for upload in kept]
    return await _develop(request, gateway, caller, order, kind="image_edit", headers=headers)


class _Rate:
    """The count of a submit: at its head, or behind the body of a service that may name its end user there."""

    def __init__(self, gateway: Gateway, caller: Caller, headers: dict[str, str] | None) -> None:
        self._gateway = gateway
        self._caller = caller
        self._headers = headers

    @classmethod
    async def begin(cls, gateway: Gateway, caller: Caller) -> _Rate:
        """Count before the body is read, if the owner is known. Raises Refused, Unavailable."""
        return cls(gateway, caller, None if caller.may_become_another else await caller.count(gateway))

    async def end(self, user: str | None) -> tuple[Caller, dict[str, str]]:
        """Act for the end user of the body, and count if need be. Raises Refused, Unavailable."""
        caller = self._caller.as_user(user)
        return caller, await caller.count(self._gateway) if self._headers is None else self._headers


@asynccontextmanager
async def _open_edit(request: Request) -> AsyncIterator[tuple[dict[str, Any], list[Picture]]]:
    """Read a body, and its images for the length of the block. Raises Refused; ClientDisconnect."""
    if media_type(request) == "application/json":
        async with open_json_images(request) as body:
            yield body, images_in(body, "image")
        return
    async with open_form(request, most=MAX_TOGETHER + FORM_BYTES, most_files=MAX_REFERENCES + 1) as form:
        images: list[Picture] = [
            FormImage(file)
            for name in ("image", "image[]")
            for file in form.getlist(name)
            if isinstance(file, UploadFile)
        ]
        yield {name: value for name, value in form.multi_items() if name == "mask" or isinstance(value, str)}, images


async def _develop(
    request: Request, gateway: Gateway, caller: Caller, order: OpenAIRequest, *, kind: str, headers: dict[str, str]
) -> Response:
    """Submit a job, or find the job of a repeated request, and wait for it as the request asks, if it may wait."""
    with ExitStack() as place:
        place.enter_context(gateway.waits.join(caller.owner))
        job = await _job_of(request, caller, order)
        kept = place.pop_all()
    headers |= {"X-Darkroom-Job": job.id}
    if order.is_default_model:
        headers["X-Darkroom-Model"] = gateway.settings.image.model
    context = ResponseContext(gateway=gateway, caller=caller, order=order, base=base_url(request, gateway), kind=kind)
    return (EventStream if order.is_stream else WaitingResponse)(context, job, place=kept, headers=headers)


async def _job_of(request: Request, caller: Caller, order: OpenAIRequest) -> Job:
    """Submit a job. OpenAI's clients repeat a request without an idempotency key, but they count their repeats."""
    what = json.dumps([order.fields, request.url.path], sort_keys=True)
    is_repeat = request.headers.get("x-stainless-retry-count", "0") not in ("", "0")
    if is_repeat and (job := await caller.client.recent.find(what)):
        return job
    job = (await caller.client.accept(idempotency_key=idempotency_key(request), **order.fields)).job
    with suppress(Unavailable):  # it is accepted: an error would bring it once more
        await caller.client.recent.note(what, job)
    return job
