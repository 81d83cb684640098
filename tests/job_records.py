"""What jobs of the model's tests are made of: a request, calls and images."""

from __future__ import annotations

from contract.job import Attempt, Image, Outcome, moment
from contract.request import JobRequest
from contract.store import digest

COUNT = 2  # images of a job


def asked(prompt: str) -> JobRequest:
    """Make a request."""
    return JobRequest(prompt=prompt, count=COUNT, aspect_ratio="1:1", image_size="1K")


def attempt(outcome: Outcome = Outcome.RUNNING, cost_usd: float | None = None) -> Attempt:
    """Make a call's record."""
    return Attempt(
        index=0,
        rung=0,
        provider="p",
        model="m",
        image_size="1K",
        started_at=moment(0),
        outcome=outcome,
        cost_usd=cost_usd,
    )


def image(job_id: str, index: int) -> Image:
    """Make an image's record."""
    path = f"/media/{job_id}-{index}"
    return Image(
        id="img_" + digest(path)[:12],
        index=index,
        path=path,
        mime="image/png",
        width=8,
        height=8,
        bytes=80,
        sha256="0" * 64,
        sidecar=path + ".json",
    )
