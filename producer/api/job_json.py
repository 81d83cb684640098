"""A job as HTTP shows it: its public JSON, where to look next, and when it may be expected."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from fastapi import Request
from pydantic import Field
from starlette.responses import Response

from contract.jobs.job import Image, Job
from contract.jobs.public_json import public_json
from producer.api.authentication import Caller
from producer.api.dependencies import Gateway
from producer.tokens import Right


class ImageResponse(Image):
    """A delivered image; the host paths are for tokens with the right `paths` only."""

    path: str | None = None  # type: ignore[assignment]
    sidecar: str | None = None  # type: ignore[assignment]
    url: str = Field(description="Address of the image; needs the token.")
    signed_url: str = Field(description="The same without a token, valid for an hour or two: for an <img>.")


class JobResponse(Job):
    """One accepted request for images."""

    images: tuple[ImageResponse, ...]
    eta_seconds: tuple[int, int] | None = Field(
        None, description="Estimated seconds until it ends, at least and at most; null if unknown."
    )
    status_url: str
    events_url: str
    cancel_url: str


async def job_json(request: Request, gateway: Gateway, caller: Caller, job: Job) -> dict[str, Any]:
    """Make the JSON of a job for its caller. Raises Unavailable."""
    [shown] = await jobs_json(request, gateway, caller, [job])
    return shown


async def jobs_json(request: Request, gateway: Gateway, caller: Caller, jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """Make the JSON of jobs for their caller. Raises Unavailable."""
    base, expected = base_url(request, gateway), await caller.client.expectations(jobs)
    return [_shown(gateway, caller, job, base, expected.get(job.id)) for job in jobs]


def _shown(gateway: Gateway, caller: Caller, job: Job, base: str, expected: tuple[int, int] | None) -> dict[str, Any]:
    shown = public_json(job, with_paths=caller.may(Right.PATHS))
    for image in shown["images"]:
        image["url"] = base + f"/v1/artifacts/{image['id']}"
        image["signed_url"] = base + gateway.links.sign(image["id"])
    address = f"{base}/v1/jobs/{job.id}"
    return {
        **shown,
        "eta_seconds": expected,
        "status_url": address,
        "events_url": f"{address}/events",
        "cancel_url": f"{address}/cancel",
    }


def base_url(request: Request, gateway: Gateway) -> str:
    """Tell how this gateway is reached: as configured, else as it was asked."""
    return gateway.settings.env.public_url or f"{request.url.scheme}://{request.headers['host']}"


def etag_of(shown: dict[str, Any]) -> str:
    """Fingerprint a job's JSON, but for what is only an expectation."""
    text = json.dumps({name: value for name, value in shown.items() if name != "eta_seconds"})
    return f'W/"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def polling_hint(job: Job, eta_seconds: tuple[int, int] | None) -> dict[str, str]:
    """Say when it is worth to look again, if ever."""
    if job.is_over:
        return {}
    return {"Retry-After": str(min(max(eta_seconds[0] // 4, 1), 15) if eta_seconds else 2)}


def json_response(shown: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Answer with JSON, which ends its line, as it may be read in a terminal."""
    text = json.dumps(shown, ensure_ascii=False) + "\n"
    return Response(text, status, headers=headers, media_type="application/json")
