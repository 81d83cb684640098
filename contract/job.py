"""A job as everybody sees it: its request, states, attempts, images and events.

queued → running → succeeded | failed | cancelled | expired; only `running → queued` leads back
(a lost lease or a planned wait). The last four states are terminal: nothing leaves them.
"""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    model_serializer,
)
from pydantic_core import CoreSchema, PydanticCustomError


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

RATIOS = (
    *("auto", "1:1", "3:4", "9:16", "4:3", "16:9", "2:3", "3:2", "4:5", "5:4", "21:9", "9:21"),
    *("1:2", "2:1", "1:4", "4:1", "1:8", "8:1"),
)
SIZES = ("512", "1K", "2K", "4K")
MAX_PROMPT, MAX_REFERENCES, LEAST_TIME_S = 32_000, 16, 1.0
MIN_SIDE, MAX_SIDE = 64, 4096

_EXPLICIT_SIZE = re.compile(r"([1-9][0-9]{1,4})x([1-9][0-9]{1,4})", re.ASCII)
_INVISIBLE = frozenset({"Cf", "Cc", "Zs", "Zl", "Zp", "Mn"})


def explicit_size(image_size: str) -> tuple[int, int] | None:
    """Read WIDTHxHEIGHT in pixels, or None for a size hint such as 2K."""
    match = _EXPLICIT_SIZE.fullmatch(image_size)
    return (int(match[1]), int(match[2])) if match else None


def _ratio(value: str) -> str:
    ratio = value.strip(" ").lower()
    if ratio not in RATIOS:
        raise PydanticCustomError("aspect_ratio_invalid", "not a known ratio", {"allowed": ", ".join(RATIOS)})
    return ratio


def _size(value: str) -> str:
    text = value.strip(" ")
    if text.upper() in SIZES:
        return text.upper()
    text = text.lower()
    sides = explicit_size(text)
    if text != "auto" and not (sides and all(MIN_SIDE <= side <= MAX_SIDE for side in sides)):
        raise PydanticCustomError("image_size_invalid", "not a known size")
    return text


def _prompt(value: str) -> str:
    if len(value) > MAX_PROMPT:
        raise PydanticCustomError("prompt_too_long", "too long", {"max": MAX_PROMPT})
    if "\0" in value or any(0xD800 <= ord(char) <= 0xDFFF for char in value):
        raise PydanticCustomError("prompt_invalid_characters", "unusable characters")
    value = "".join(char for char in value if char in "\n\t" or unicodedata.category(char) != "Cc")
    if all(unicodedata.category(char) in _INVISIBLE for char in value):
        raise PydanticCustomError("prompt_required", "empty")
    return value


def _count(value: int, info: ValidationInfo) -> int:
    maximum = (info.context or {}).get("max_images", 8)
    if not 1 <= value <= maximum:
        raise PydanticCustomError("count_out_of_range", "out of range", {"max": maximum})
    return value


def _references(values: tuple[str, ...]) -> tuple[str, ...]:
    different = tuple(dict.fromkeys(values))
    if len(different) > MAX_REFERENCES:
        raise PydanticCustomError("too_many_references", "too many", {"max": MAX_REFERENCES})
    return different


def _allowed(value: object) -> object:
    if value is not None and value not in get_args(AllowedFallback):
        raise PydanticCustomError("fallback_invalid", "not a known kind of fallback")
    return value


def _quality(value: object) -> object:
    if value is not None and value not in get_args(Quality):
        raise PydanticCustomError("quality_invalid", "not a known quality")
    return value


def _time(value: float, info: ValidationInfo) -> float:
    most = (info.context or {}).get("max_seconds")
    if not (math.isfinite(value) and LEAST_TIME_S <= value <= (most or value)):
        raise PydanticCustomError("timeout_out_of_range", "out of range", {"field": info.field_name, "max": most})
    return value


AspectRatio = Annotated[str, AfterValidator(_ratio)]
ImageSize = Annotated[str, AfterValidator(_size)]
Quality = Literal["low", "medium", "high"]
AllowedFallback = Literal["any", "quality", "size", "none"]
TimeLimit = Annotated[float, AfterValidator(_time)]
ModelName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\w:@+-][\w.:@+-]*(/[\w:@+-][\w.:@+-]*)*$")]


class Record(BaseModel):
    """The base of our own formats: immutable, nothing unknown in it, and no prompt in its errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        # A serializer that leaves fields out would hide all of them from the schema.
        return handler({name: part for name, part in core_schema.items() if name != "serialization"})


class JobRequest(Record):
    """What a caller asks for; sizes and ratios are already the effective ones."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    prompt: Annotated[str, AfterValidator(_prompt)]
    count: Annotated[int, AfterValidator(_count)] = 1
    aspect_ratio: AspectRatio
    image_size: ImageSize
    reference_images: Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_references)] = ()
    quality: Annotated[Quality | None, BeforeValidator(_quality)] = None  # None: as configured
    # The caller's own limits and choice; whoever gives none gets the JSON without them.
    fallback: Annotated[AllowedFallback | None, BeforeValidator(_allowed)] = None  # None: any
    attempt_timeout_seconds: TimeLimit | None = None  # can only shorten the operator's
    deadline_seconds: TimeLimit | None = None  # from the job's start to its end; can only shorten the operator's
    provider: str | None = None  # of the first rung, as the model; None: the configured one
    model: ModelName | None = None

    @model_serializer(mode="wrap")
    def _without_what_is_missing(self, write: SerializerFunctionWrapHandler) -> dict[str, object]:
        return {name: value for name, value in write(self).items() if value is not None}


class Snapshot(Record):
    """A reference image as it was when the job was accepted."""

    source: str  # the path it was read from, as told in the sidecar
    sha256: str
    mime: str
    bytes: int


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


class Attempt(Record):
    """One call to a provider, recorded before it is made."""

    index: int  # the image it is made for, 0-based
    rung: int  # which rung of the ladder, 0 = as asked
    provider: str
    model: str
    image_size: str
    quality: str | None = None
    started_at: datetime
    seconds: float | None = None
    outcome: Outcome = Outcome.RUNNING
    error: str | None = None  # a code of contract/errors.py
    http_status: int | None = None
    cost_usd: float | None = None


class Rendition(Record):
    """The knobs an image was asked for or delivered with."""

    provider: str
    model: str
    image_size: str
    quality: str | None = None


class Degraded(Record):
    """What was asked for, what was delivered instead, and why, in words."""

    requested: Rendition
    delivered: Rendition
    reason: str


class Image(Record):
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


class Progress(Record):
    """How many images are done, and what is happening, in words."""

    done: int
    count: int
    message: str


class Failure(Record):
    """Why a job failed, or why some of its images are missing."""

    code: str
    detail: str
    retryable: bool


class Job(Record):
    """One accepted request for `count` images; the JSON form is the same on every face."""

    id: str
    state: JobState
    owner: str
    conversation: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    request: JobRequest
    position: int | None  # jobs that are served before this one; None when it is not queued, or waits for its time
    progress: Progress
    images: tuple[Image, ...]
    attempts: tuple[Attempt, ...]
    degraded: Degraded | None
    cost_usd: float | None
    error: Failure | None
    retry_of: str | None = None  # the job that this one repeats

    @model_serializer(mode="wrap")
    def _without_a_missing_ancestor(self, write: SerializerFunctionWrapHandler) -> dict[str, object]:
        return {name: value for name, value in write(self).items() if name != "retry_of" or value is not None}

    @property
    def is_over(self) -> bool:
        """Tell whether the state is terminal."""
        return self.state in TERMINAL


class JobEvent(BaseModel):
    """One line of a job's story; `type` is a state or attempt, retry, fallback, waiting, image."""

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
