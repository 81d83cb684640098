"""A job as everybody sees it: its request, states, attempts, images and events.

queued → running → succeeded | failed | cancelled | expired; only `running → queued` leads back
(a lost lease or a planned wait). The last four states are terminal: nothing leaves them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from contract.frozen_model import FrozenModel, Stored
from contract.jobs.request import KeptRequest


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"  # accepted; waits for a worker or for `not_before`
    RUNNING = "running"  # a worker holds its lease
    SUCCEEDED = "succeeded"  # at least one image was delivered
    FAILED = "failed"  # no image; `error` says why
    CANCELLED = "cancelled"  # stopped on request
    EXPIRED = "expired"  # not finished in the time it had


TERMINAL = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED})
ACTIVE = frozenset(JobState) - TERMINAL
MOVES: dict[JobState, frozenset[JobState]] = {
    # Queued again with some images, it has succeeded in part when its time is over.
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.SUCCEEDED, JobState.CANCELLED, JobState.EXPIRED}),
    JobState.RUNNING: frozenset({JobState.QUEUED}) | TERMINAL,
    **{state: frozenset() for state in TERMINAL},
}


class ReferenceSnapshot(Stored):
    """A reference image as it was when the job was accepted."""

    source: str  # the path it was read from, as told in the sidecar
    sha256: str
    mime: str
    bytes: int
    width: int | None = None  # upright, in pixels; a job or an upload of an older version has none
    height: int | None = None


class Outcome(StrEnum):
    """How one attempt ended; the failures have the names of the `ProviderError` branches."""

    RUNNING = "running"
    DELIVERED = "delivered"
    TRANSIENT = "transient"
    RATE_LIMITED = "rate_limited"
    TIMEOUT = "timeout"
    INTERRUPTED = "interrupted"
    UNUSABLE = "unusable"
    REJECTED = "rejected"
    CANCELLED = "cancelled"  # given up by us: cancelled, drained or out of time
    LOST = "lost"  # its worker died; whether it was billed is not known
    UNKNOWN = "unknown"  # a word of another version, which is read so and never written


def _known_outcome(value: object) -> object:
    return value if value in frozenset(Outcome) else Outcome.UNKNOWN


class Attempt(Stored):
    """One call to a provider, recorded before it is made."""

    index: int  # the image it is made for, 0-based
    rung: int  # which rung of the ladder, 0 = as asked
    provider: str
    model: str
    image_size: str
    quality: str | None = None
    started_at: datetime
    seconds: float | None = None
    outcome: Annotated[Outcome, BeforeValidator(_known_outcome)] = Outcome.RUNNING
    error: str | None = None  # a code of contract/errors/catalogue/table.py
    http_status: int | None = None
    cost_usd: float | None = None
    unused: int = 0  # images of its response that were not used


class Rendition(Stored):
    """What an image was requested or delivered with: provider, model, size, quality, ratio."""

    provider: str
    model: str
    image_size: str
    quality: str | None = None
    aspect_ratio: str | None = None  # None where only the others matter, and in records of an older version


class Degraded(Stored):
    """What was asked for, what was delivered instead, and why, in words."""

    requested: Rendition
    delivered: Rendition
    reason: str


class Image(Stored):
    """A delivered artifact; `path` and `sidecar` are absolute paths on the worker's disk."""

    id: str
    index: int
    path: str
    mime: str
    width: int
    height: int
    bytes: int
    sha256: str
    degraded: Degraded | None = None
    sidecar: str


class Progress(FrozenModel):
    """How many images are done, and what is happening, in words."""

    done: int
    count: int
    message: str


class Failure(Stored):
    """Why a job failed, or why some of its images are missing."""

    code: str
    detail: str
    retryable: bool


class Job(FrozenModel):
    """One accepted request for `count` images; the JSON form is the same on every face."""

    id: str
    state: JobState
    owner: str
    conversation: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    request: KeptRequest
    position: int | None  # jobs that are served before this one; None when it is not queued, or waits for its time
    progress: Progress
    images: tuple[Image, ...]
    attempts: tuple[Attempt, ...]
    degraded: Degraded | None
    cost_usd: float | None
    error: Failure | None
    warnings: tuple[str, ...] = ()  # what else its owner may want to know, in words
    retry_of: str | None = None  # the job that this one repeats

    @model_serializer(mode="wrap")
    def _without_a_missing_ancestor(self, write: SerializerFunctionWrapHandler) -> dict[str, object]:
        return {name: value for name, value in write(self).items() if name != "retry_of" or value is not None}

    @property
    def is_over(self) -> bool:
        """Tell whether the state is terminal."""
        return self.state in TERMINAL


class JobEvent(BaseModel):
    """One line of a job's story; `type` is a state or attempt, retry, fallback, waiting, image, unused."""

    model_config = ConfigDict(frozen=True, extra="allow")

    id: str = ""  # the stream id, to resume after
    type: str
    at: datetime
    text: str = ""  # the same in words

    @property
    def is_last(self) -> bool:
        """Tell whether no event follows this one."""
        return self.type in TERMINAL


def moment(epoch_ms: float) -> datetime:
    """Turn milliseconds since 1970 (Redis time) into an aware UTC time."""
    return datetime.fromtimestamp(epoch_ms / 1000, UTC)
