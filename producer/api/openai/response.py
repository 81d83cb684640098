"""Finished images in OpenAI's words: JSON, or events of a stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from tempfile import SpooledTemporaryFile
from typing import Any, NamedTuple

from sse_starlette import ServerSentEvent

from contract.errors.catalogue.job_failure import STORAGE_FULL
from contract.errors.catalogue.request import ARTIFACT_NOT_FOUND
from contract.errors.catalogue.table import look_up
from contract.errors.exceptions import DarkroomError, Refused
from contract.jobs import wording
from contract.jobs.job import Image, Job
from producer.api.authentication import Caller
from producer.api.dependencies import Gateway
from producer.api.openai.chunked_json import MARK, PIECE, Base64Image, Part, SpooledBase64, StoredBase64, interleave
from producer.api.openai.late_failure import LateFailure
from producer.api.openai.request import OpenAIRequest
from producer.api.services.piece_turns import Turn
from producer.client.owner_client import OwnerClient
from producer.error_catalogue import GATEWAY_STOPPING, JOB_CANCELLED
from producer.imaging.turns import Asker

_FORMATS = {"image/png": "png", "image/jpeg": "jpeg", "image/webp": "webp", "image/gif": "gif"}
_NO_TOKENS = {
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "total_tokens": 0,
}  # providers of images tell costs, not tokens


class JobFailed(DarkroomError):
    """A job that was waited for has no images; its error is passed on."""

    def __init__(self, job: Job) -> None:
        super().__init__(look_up(job.error.code) if job.error else JOB_CANCELLED)
        if job.error:
            self.detail = job.error.detail


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseContext:
    """The caller of a request, and the format of its response."""

    gateway: Gateway
    caller: Caller
    order: OpenAIRequest
    base: str  # the start of links
    kind: str  # what events are called: `image_generation` or `image_edit`
    late: LateFailure = field(default_factory=LateFailure)
    kept: ExitStack = field(default_factory=ExitStack)  # what the response holds until it has left


class Entry(NamedTuple):
    """One image as it is answered: a link, or base64 that belongs where `shown` has MARK; never both."""

    shown: dict[str, str]
    base64: list[Base64Image]
    format: str


async def complete(context: ResponseContext, job: Job) -> list[Part]:
    """Write the answer of a job that is over, with all its images, in parts. Raises JobFailed, Refused."""
    if not job.images:
        raise JobFailed(job)
    entries = [await _entry(context, image) for image in job.images]
    first = job.images[0]
    document = {
        "created": int(job.created_at.timestamp()),
        "data": [entry.shown for entry in entries],
        "background": "auto",
        "output_format": entries[0].format,
        "quality": quality_of(job),
        "size": f"{first.width}x{first.height}",
        "darkroom": about(job),
    }
    return interleave(document, chain.from_iterable(entry.base64 for entry in entries))


async def events(context: ResponseContext, job: Job) -> AsyncIterator[list[Part]]:
    """Tell a job's story: each image as soon as it is there, the rest as comments. Raises JobFailed, Refused."""
    sent: set[str] = set()
    yield [comment(job.progress.message)]
    async for event in context.caller.client.events(job.id):
        if event.type == "image":
            job = await context.caller.client.get(job.id)
            for image in job.images:
                if image.id not in sent:
                    sent.add(image.id)
                    yield await _completed(context, job, image)
        elif not event.is_last:
            yield [comment(wording.told(event))]
    job = await context.caller.client.get(job.id)
    if not job.is_over:
        raise Refused(GATEWAY_STOPPING, retry_after_s=1)
    if not sent:
        raise JobFailed(job)


async def _entry(context: ResponseContext, image: Image) -> Entry:
    if context.order.as_url:
        return Entry({"url": context.base + context.gateway.links.sign(image.id)}, [], _FORMATS[image.mime])
    data, mime = await _base64(context, image)
    return Entry({"b64_json": MARK}, [data], _FORMATS[mime])


async def _base64(context: ResponseContext, image: Image) -> tuple[Base64Image, str]:
    """Find an image in the format that was asked for. Raises Refused."""
    order = context.order
    client = context.caller.client
    turn = partial(context.gateway.pieces.take, Asker(context.caller.owner).turn)
    stored = await stored_base64(client, image, turn)
    if order.mime in (None, image.mime) and order.compression is None:
        return stored, image.mime
    mime, asker = order.mime or image.mime, Asker(context.caller.owner)
    context.kept.enter_context(context.gateway.copies.join(context.caller.owner))
    read = partial(client.artifacts.read, stored.locator)
    data = await context.gateway.pictures.convert(read, mime=mime, quality=order.compression, asker=asker)
    file = context.kept.enter_context(SpooledTemporaryFile(PIECE))  # noqa: SIM115 - the stack closes it
    try:
        return await asyncio.to_thread(SpooledBase64, file, data, turn), mime
    except OSError as error:
        raise Refused(STORAGE_FULL) from error


async def stored_base64(client: OwnerClient, image: Image, turn: Turn) -> StoredBase64:
    """Find an image of an owner, to be read at its turns. Raises Refused (`artifact_not_found`), Unavailable."""
    locator = await client.owner_images.find(image.id)
    stored = await client.artifacts.stat(locator)
    if stored is None:
        raise Refused(ARTIFACT_NOT_FOUND)
    return StoredBase64(client.artifacts, locator, stored.bytes, turn)


async def _completed(context: ResponseContext, job: Job, image: Image) -> list[Part]:
    """Write the event of one image, in parts."""
    entry = await _entry(context, image)
    document = {
        "type": f"{context.kind}.completed",
        **entry.shown,
        "background": "auto",
        "created_at": int(job.created_at.timestamp()),
        "output_format": entry.format,
        "quality": quality_of(job),
        "size": f"{image.width}x{image.height}",
        "usage": _NO_TOKENS,
        "darkroom": about(job),
    }
    return [f"event: {context.kind}.completed\ndata: ".encode(), *interleave(document, entry.base64), b"\n\n"]


def comment(words: str) -> bytes:
    """Write what every client skips."""
    return ServerSentEvent(comment=words, sep="\n").encode()


def about(job: Job) -> dict[str, Any]:
    """Tell what OpenAI has no words for: the job, what it cost, what was delivered instead, what is missing."""
    return {
        "job_id": job.id,
        "images": [image.id for image in job.images],
        "cost_usd": job.cost_usd,
        "degraded": wording.degraded(job.degraded) if job.degraded else None,
        "error": job.error.detail if job.error else None,  # of images that are missing
        "warnings": job.warnings,
    }


def quality_of(job: Job) -> str:
    """Tell the quality that was delivered, as far as it is known."""
    delivered = [attempt.quality for attempt in job.attempts if attempt.outcome == "delivered" and attempt.quality]
    return delivered[-1] if delivered else "auto"
