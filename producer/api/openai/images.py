"""OpenAI's image API: `/v1/images/generations` and `/v1/images/edits`, whole or as a stream.

A request waits for its job on an open connection: `waiting_response.py` has how.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from contract.artifacts.references import MAX_TOGETHER
from contract.errors.catalogue.request import JOB_NOT_FOUND
from contract.errors.exceptions import Refused, Unavailable
from contract.jobs.job import Job
from contract.jobs.request import MAX_REFERENCES
from producer.api.authentication import Caller, Submitter
from producer.api.dependencies import Gateway, Here
from producer.api.forms import open_form
from producer.api.job_json import base_url
from producer.api.openai import modelscope
from producer.api.openai.bodies.json_images import open_json_images
from producer.api.openai.bodies.pictures import Reference, keep_references, references_in
from producer.api.openai.error_envelope import in_own_words
from producer.api.openai.late_failure import (
    counts_repeats,
    is_repeat,
    known_as,
    late_failure_of,
    owed,
    repeats_failure,
)
from producer.api.openai.openapi import EDIT, GENERATE, GENERATED
from producer.api.openai.request import OpenAIRequest, read_openai_request
from producer.api.openai.response import ResponseContext
from producer.api.openai.waiting_response import EventStream, WaitingResponse
from producer.api.requests import idempotency_key, media_type
from producer.error_catalogue import IMAGE_REQUIRED

FORM_BYTES = 2 * 2**20  # without the files

router = APIRouter(prefix="/v1/images", tags=["OpenAI"])


@router.post("/generations", openapi_extra=GENERATE, responses=GENERATED)
async def generations(request: Request, gateway: Here, caller: Submitter) -> Response:
    """Make images, as OpenAI's API does."""
    if modelscope.is_meant(request):
        return await modelscope.submit(request, gateway, caller)
    return await _develop(request, gateway, caller, kind="image_generation")


@router.post("/edits", openapi_extra=EDIT, responses=GENERATED)
async def edits(request: Request, gateway: Here, caller: Submitter) -> Response:
    """Edit images, as OpenAI's API does; a JSON body may have them as data URLs."""
    return await _develop(request, gateway, caller, kind="image_edit")


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
async def _open_body(request: Request, kind: str) -> AsyncIterator[tuple[dict[str, Any], list[Reference]]]:
    """Read a body, and its images for the length of the block. Raises Refused; ClientDisconnect."""
    if media_type(request) == "application/json" or kind == "image_generation":
        async with open_json_images(request) as body:
            yield body, references_in(body.items())
        return
    async with open_form(request, most=MAX_TOGETHER + FORM_BYTES, most_files=MAX_REFERENCES + 1) as form:
        yield (
            {name: value for name, value in form.multi_items() if isinstance(value, str)},
            references_in(form.multi_items()),
        )


async def _develop(request: Request, gateway: Gateway, caller: Caller, *, kind: str) -> Response:
    """Submit a job, or find the job of a repeated request, and wait for it as the request asks, if it may wait."""
    rate = await _Rate.begin(gateway, caller)
    async with _open_body(request, kind) as (body, references):
        if kind == "image_edit" and not references:
            raise Refused(IMAGE_REQUIRED).at("image")
        if body.get("model") in (None, ""):
            body["model"] = getattr(request.state, "deployment", None)
        order = read_openai_request(body, gateway.settings)
        caller, headers = await rate.end(order.user)  # before any image is decoded
        if references:
            order.fields["reference_images"] = await keep_references(request, gateway, caller, references)
    with ExitStack() as place:
        place.enter_context(gateway.waits.join(caller.owner))
        what = known_as(order, request.url.path)
        job = await _job_of(request, caller, order, what)
        kept = place.pop_all()
    context = _context(request, gateway, caller, order, job, kind=kind, what=what)
    headers |= _names(gateway, order, job)
    return (EventStream if order.is_stream else WaitingResponse)(context, job, place=kept, headers=headers)


@router.get("/generations/{job_id}", include_in_schema=False)
@router.get("/edits/{job_id}", include_in_schema=False)
async def go_on(request: Request, gateway: Here, caller: Submitter, job_id: str) -> Response:
    """Go on waiting for a job, where a redirect has sent a client."""
    order = read_openai_request(request.query_params, gateway.settings)
    caller = caller.as_user(order.user)
    job = await caller.client.get(job_id)
    if not job.is_over and not await gateway.disconnects.expects(job.id):
        raise Refused(JOB_NOT_FOUND)  # it was submitted otherwise, and is not cancelled because this client goes
    with ExitStack() as place:
        place.enter_context(gateway.waits.join(caller.owner))
        what = request.query_params.get("request", "")[:64]
        context = _context(request, gateway, caller, order, job, what=what)
        return WaitingResponse(context, job, place=place.pop_all(), headers=_names(gateway, order, job))


def _names(gateway: Gateway, order: OpenAIRequest, job: Job) -> dict[str, str]:
    """Name the job, and the model if another one was asked for."""
    model = {"X-Darkroom-Model": gateway.settings.image.model} if order.is_default_model else {}
    return {"X-Darkroom-Job": job.id, **model}


def _context(
    request: Request,
    gateway: Gateway,
    caller: Caller,
    order: OpenAIRequest,
    job: Job,
    *,
    kind: str = "",
    what: str = "",
) -> ResponseContext:
    return ResponseContext(
        gateway=gateway,
        caller=caller,
        order=order,
        base=base_url(request, gateway),
        kind=kind,
        late=late_failure_of(request, order, job, what=what),
    )


async def _job_of(request: Request, caller: Caller, order: OpenAIRequest, what: str) -> Job:
    """Submit a job. OpenAI's clients repeat a request without an idempotency key, but they count their repeats."""
    recent, key = caller.client.recent, idempotency_key(request)
    if key is None and counts_repeats(request.headers) and (job := await recent.take(owed(what))):
        return job
    if key is None or is_repeat(request.headers):
        job = await recent.find(what)
        if job and (is_repeat(request.headers) or await repeats_failure(caller.client, what, job)):
            return job
    try:
        job = (await caller.client.accept(idempotency_key=key, **order.fields)).job
    except Refused as error:
        raise in_own_words(error, order.names) from error
    with suppress(Unavailable):  # it is accepted: an error would bring it once more
        await recent.note(what, job)
    return job
