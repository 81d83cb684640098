"""OpenAI's image API: `/v1/images/generations` and `/v1/images/edits`, whole or as a stream.

A request waits for its job on an open connection. For the first seconds an error keeps its status; after that the
answer has begun with 200, and blanks keep it alive until the JSON comes. A client that goes away, and does not come
back, has its job cancelled.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.datastructures import UploadFile
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from contract.errors import DarkroomError, Refused
from contract.job import MAX_REFERENCES, Job
from contract.references import MAX_TOGETHER
from producer.api import modelscope, openai_answer, openai_error
from producer.api.body import media_type, read_form, read_json
from producer.api.caller import Caller, Submitter
from producer.api.data_url import decode
from producer.api.gateway import Gateway, Here
from producer.api.jobs import idempotency_key
from producer.api.openai_request import ImageOrder, read_order
from producer.api.openai_schema import EDIT, GENERATE, GENERATED
from producer.api.problem import headers_of
from producer.api.stream import PING_S
from producer.api.uploads import keep, read_file
from producer.api.view import base_url

GRACE_S = 20.0  # errors have their own status so long
HEARTBEAT_S = 10.0
LINGER_S = 5.0  # a client that was cut off comes back sooner
MAX_JSON = 32 * 2**20  # with references as data URLs
FORM_BYTES = 2 * 2**20  # beside the files

router = APIRouter(prefix="/v1/images", tags=["OpenAI"])


@router.post("/generations", openapi_extra=GENERATE, responses=GENERATED)
async def generations(request: Request, gateway: Here, caller: Submitter) -> Response:
    """Make images, as OpenAI's API does."""
    body = await read_json(request, most=MAX_JSON)
    if modelscope.is_meant(request):
        return await modelscope.submit(request, gateway, caller, body)
    order = read_order(body, gateway.settings)
    return await _develop(request, gateway, caller.as_user(order.user), order, kind="image_generation")


@router.post("/edits", openapi_extra=EDIT, responses=GENERATED)
async def edits(request: Request, gateway: Here, caller: Submitter) -> Response:
    """Edit images, as OpenAI's API does; a JSON body may have them as data URLs."""
    if media_type(request) == "application/json":
        body = await read_json(request, most=MAX_JSON)
        images = [await asyncio.to_thread(decode, url) for url in _urls(body.get("image"))]
    else:
        async with read_form(request, most=MAX_TOGETHER + FORM_BYTES, most_files=MAX_REFERENCES + 1) as form:
            body = {name: value for name, value in form.multi_items() if isinstance(value, str)}
            files = {name: form.getlist(name) for name in form}
            if any(isinstance(file, UploadFile) for file in files.get("mask", [])):
                raise Refused("mask_not_supported").at("mask")
            images = [
                await read_file(file)
                for name in ("image", "image[]")
                for file in files.get(name, [])
                if isinstance(file, UploadFile)
            ]
    if not images:
        raise Refused("image_required").at("image")
    order = read_order(body, gateway.settings)
    caller = caller.as_user(order.user)
    order.fields["reference_images"] = [(await keep(gateway, caller, image))["id"] for image in images]
    return await _develop(request, gateway, caller, order, kind="image_edit")


async def _develop(request: Request, gateway: Gateway, caller: Caller, order: ImageOrder, *, kind: str) -> Response:
    """Hand a job in, or find the one that a repeated request means, and wait for it in the way that was asked for."""
    headers = await gateway.rates.count(f"{caller.token.name}\n{caller.owner}")
    job = await _job_of(request, caller, order)
    headers |= {"X-Darkroom-Job": job.id}
    if order.is_default_model:
        headers["X-Darkroom-Model"] = gateway.settings.image.model
    held = Held(gateway, caller, job, order, base=base_url(request, gateway), kind=kind, headers=headers)
    if not order.is_stream:
        return held
    return EventSourceResponse(
        held.stream(),
        ping=PING_S,
        sep="\n",
        headers={**headers, "Cache-Control": "private, no-store"},
    )


async def _job_of(request: Request, caller: Caller, order: ImageOrder) -> Job:
    """Hand in a job. OpenAI's clients repeat a request without a key that says so, but they count their repeats."""
    what = json.dumps([order.fields, request.url.path], sort_keys=True)
    is_repeat = request.headers.get("x-stainless-retry-count", "0") not in ("", "0")
    if is_repeat and (job := await caller.door.recent(what)):
        return job
    job = (await caller.door.accept(idempotency_key=idempotency_key(request), **order.fields)).job
    await caller.door.note_recent(what, job)
    return job


class Held(Response):
    """An answer that is held back until its job is over."""

    def __init__(
        self,
        gateway: Gateway,
        caller: Caller,
        job: Job,
        order: ImageOrder,
        *,
        base: str,
        kind: str,
        headers: dict[str, str],
    ) -> None:
        super().__init__(status_code=200, headers=headers, media_type="application/json")
        self._gateway = gateway
        self._caller = caller
        self._job = job
        self._order = order
        self._base = base
        self._kind = kind
        self._more = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait, and answer; the job of a client that has gone is left to the attendance."""
        with self._gateway.attendance.wait_for(self._job.id, self._caller.door, linger_s=LINGER_S):
            finishing, leaving = asyncio.create_task(self._finish()), asyncio.create_task(_gone(receive))
            try:
                await self._hold(finishing, leaving, scope, receive, send)
            finally:
                for task in (finishing, leaving):
                    task.cancel()
        if finishing.done() and not finishing.cancelled():
            self._gateway.attendance.stay(self._job.id)

    async def stream(self) -> AsyncIterator[ServerSentEvent]:
        """Tell what happens as events; news of the queue are comments, as typed ones would be misunderstood."""
        job, door = self._job, self._caller.door
        with self._gateway.attendance.wait_for(job.id, door, linger_s=LINGER_S):
            try:
                told = openai_answer.events(
                    self._gateway, self._caller, job, self._order, base=self._base, kind=self._kind
                )
                async for name, data in told:
                    yield ServerSentEvent(data, event=name) if name else ServerSentEvent(comment=data)
            except DarkroomError as error:
                yield ServerSentEvent(json.dumps(openai_error.envelope(error)), event="error")
        self._gateway.attendance.stay(job.id)

    async def _hold(
        self,
        finishing: asyncio.Task[bytes],
        leaving: asyncio.Task[None],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        both = {finishing, leaving}
        await asyncio.wait(both, timeout=GRACE_S, return_when=asyncio.FIRST_COMPLETED)
        if finishing.done():
            await self._answer(finishing)(scope, receive, send)
            return
        if leaving.done():
            return
        await send({"type": "http.response.start", "status": 200, "headers": self._open_headers()})
        while not finishing.done() and not leaving.done():
            await send({"type": "http.response.body", "body": b"\n", "more_body": True})
            await asyncio.wait(both, timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED)
        if finishing.done():
            await send({"type": "http.response.body", "body": bytes(self._answer(finishing).body)})

    def _answer(self, finishing: asyncio.Task[bytes]) -> Response:
        try:
            return Response(finishing.result(), headers=self._more, media_type="application/json")
        except DarkroomError as error:
            return openai_error.answer(error, {**self._more, **headers_of(error)})

    def _open_headers(self) -> list[tuple[bytes, bytes]]:
        return [(name, value) for name, value in self.raw_headers if name != b"content-length"]

    async def _finish(self) -> bytes:
        job = await self._caller.door.wait(self._job.id)
        return await openai_answer.whole(self._gateway, self._caller, job, self._order, base=self._base)


async def _gone(receive: Receive) -> None:
    """Wait until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _urls(value: Any) -> list[str]:
    """List the data URLs of a JSON body. Raises Refused."""
    urls = value if isinstance(value, list) else [value] if value else []
    if not all(isinstance(url, str) for url in urls):
        raise Refused("type_error", field="image", expected="it must be a data URL, or a list of some").at("image")
    if len(urls) > MAX_REFERENCES:
        raise Refused("too_many_references", max=MAX_REFERENCES).at("image")
    return urls
