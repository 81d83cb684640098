"""What the job table's tests are made of: jobs to be handed in, calls and images."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

from contract.jobs.job import Attempt, Image, Outcome, moment
from contract.jobs.request import JobRequest
from contract.store.keys import digest
from contract.store.new_job import NewJob

COUNT = 2  # images of a job


def asked(prompt: str) -> JobRequest:
    """Make a request."""
    return JobRequest(prompt=prompt, count=COUNT, aspect_ratio="1:1", image_size="1K")


NEW = NewJob(
    id="",
    owner="ann",
    conversation="chat",
    request=asked("a fox"),
    snapshots=(),
    queue_time_s=60,
    run_time_s=60,
    max_active=1000,
    max_queued=1000,
)


def new_job(**changes: Any) -> NewJob:
    """Make a job that is to be handed in, as the others but for its id and these changes."""
    return replace(NEW, **{"id": str(uuid.uuid4()), **changes})


def attempt(outcome: Outcome = Outcome.RUNNING, cost_usd: float | None = None, **changes: object) -> Attempt:
    """Make a call's record."""
    values = {"index": 0, "rung": 0, "provider": "p", "model": "m", "image_size": "1K", "started_at": moment(0)}
    return Attempt.model_validate({**values, "outcome": outcome, "cost_usd": cost_usd, **changes})


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
