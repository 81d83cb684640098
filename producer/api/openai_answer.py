"""Finished images in OpenAI's words: JSON, or events of a stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pybase64

from contract import story
from contract.errors import DarkroomError
from contract.job import Image, Job
from producer.api.caller import Caller
from producer.api.gateway import Gateway
from producer.api.openai_request import ImageOrder

_FORMATS = {"image/png": "png", "image/jpeg": "jpeg", "image/webp": "webp", "image/gif": "gif"}
_NO_TOKENS = {
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "total_tokens": 0,
}  # providers of images tell costs, not tokens


class JobFailed(DarkroomError):
    """A job that somebody waited for has no images; its error is told as it is."""

    def __init__(self, job: Job) -> None:
        code = job.error.code if job.error else "job_cancelled"
        super().__init__(code)
        if job.error:
            self.detail = job.error.detail


async def whole(gateway: Gateway, caller: Caller, job: Job, order: ImageOrder, *, base: str) -> bytes:
    """Write the answer of a job that is over, with all its images. Raises JobFailed, Refused."""
    if not job.images:
        raise JobFailed(job)
    entries = [await entry(gateway, caller, image, order, base=base) for image in job.images]
    first = job.images[0]
    document = {
        "created": int(job.created_at.timestamp()),
        "data": [shown for shown, _ in entries],
        "background": "auto",
        "output_format": entries[0][1],
        "quality": quality_of(job),
        "size": f"{first.width}x{first.height}",
        "darkroom": about(job),
    }
    return await asyncio.to_thread(_dumps, document)


async def entry(
    gateway: Gateway, caller: Caller, image: Image, order: ImageOrder, *, base: str
) -> tuple[dict[str, str], str]:
    """Write one image, as base64 or as a link, never both; and tell its format."""
    if order.as_url:
        return {"url": base + gateway.links.sign(image.id)}, _FORMATS[image.mime]
    data, mime = await read_image(gateway, caller, image, order)
    encoded = await asyncio.to_thread(pybase64.b64encode_as_string, data)
    return {"b64_json": encoded}, _FORMATS[mime]


async def read_image(gateway: Gateway, caller: Caller, image: Image, order: ImageOrder) -> tuple[bytes, str]:
    """Read an image in the format that was asked for. Raises Refused."""
    path: Path = await caller.door.gallery.find(image.id)
    data = await asyncio.to_thread(path.read_bytes)
    if order.mime in (None, image.mime) and order.compression is None:
        return data, image.mime
    mime = order.mime or image.mime
    return await gateway.pictures.convert(data, mime=mime, quality=order.compression), mime


async def events(
    gateway: Gateway, caller: Caller, job: Job, order: ImageOrder, *, base: str, kind: str
) -> AsyncIterator[tuple[str, str]]:
    """Tell a job's story as pairs of an event's name and data; one without a name is a comment.

    `kind` is `image_generation` or `image_edit`. Each image comes as soon as it is there.
    """
    sent: set[str] = set()
    yield "", job.progress.message
    async for event in caller.door.events(job.id):
        if event.type == "image":
            job = await caller.door.get(job.id)
            for image in job.images:
                if image.id not in sent:
                    sent.add(image.id)
                    yield f"{kind}.completed", await _completed(gateway, caller, job, image, order, base, kind)
        elif not event.is_last:
            yield "", story.told(event)
    if not sent:
        raise JobFailed(await caller.door.get(job.id))


async def _completed(
    gateway: Gateway, caller: Caller, job: Job, image: Image, order: ImageOrder, base: str, kind: str
) -> str:
    shown, output_format = await entry(gateway, caller, image, order, base=base)
    document = {
        "type": f"{kind}.completed",
        **shown,
        "background": "auto",
        "created_at": int(job.created_at.timestamp()),
        "output_format": output_format,
        "quality": quality_of(job),
        "size": f"{image.width}x{image.height}",
        "usage": _NO_TOKENS,
        "darkroom": about(job),
    }
    return (await asyncio.to_thread(_dumps, document)).decode()


def about(job: Job) -> dict[str, Any]:
    """Tell what OpenAI has no words for: the job, what it cost, and what was delivered instead."""
    return {
        "job_id": job.id,
        "images": [image.id for image in job.images],
        "cost_usd": job.cost_usd,
        "degraded": story.degraded(job.degraded) if job.degraded else None,
    }


def quality_of(job: Job) -> str:
    """Tell the quality that was delivered, as far as it is known."""
    delivered = [attempt.quality for attempt in job.attempts if attempt.outcome == "delivered" and attempt.quality]
    return delivered[-1] if delivered else "auto"


def _dumps(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()
