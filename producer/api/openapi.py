"""What the OpenAPI page tells that cannot be read off the routes: bodies we read ourselves, errors, examples."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from contract.artifacts.sidecar import Sidecar
from contract.errors.catalogue.job_failure import INTERNAL_ERROR, STORAGE_FULL
from contract.errors.catalogue.provider import PROVIDER_ERROR, PROVIDER_TIMEOUT
from contract.errors.catalogue.queue import QUEUE_UNAVAILABLE
from contract.errors.catalogue.request import JOB_NOT_FOUND, TYPE_ERROR
from contract.errors.kind import ErrorKind
from contract.jobs.ids import MAX_CONVERSATION
from contract.jobs.request import AspectRatio, ImageSize, JobRequest
from contract.untrusted.imaging.limits import EXTENSIONS
from producer.api.job_json import JobResponse
from producer.error_catalogue import (
    BAD_REQUEST,
    BODY_TOO_LARGE,
    FORBIDDEN,
    HEADERS_TOO_LARGE,
    HOST_NOT_ALLOWED,
    JOB_NOT_FINISHED,
    RANGE_NOT_SATISFIABLE,
    RATE_LIMITED,
    REQUEST_TIMEOUT,
    UNAUTHORIZED,
    UNSUPPORTED_MEDIA_TYPE,
    URL_INVALID,
)

Responses = dict[int | str, dict[str, Any]]

EXAMPLE: dict[str, Any] = {"prompt": "a red fox in the snow", "count": 2, "aspect_ratio": "16:9", "image_size": "1K"}
ALWAYS = ("400", "401", "403", "414", "421", "422", "429", "431", "500", "503")
BODY = ("408", "413", "415")
BY_STATUS: dict[str, ErrorKind] = {
    "400": BAD_REQUEST,
    "401": UNAUTHORIZED,
    "403": FORBIDDEN,
    "404": JOB_NOT_FOUND,
    "408": REQUEST_TIMEOUT,
    "409": JOB_NOT_FINISHED,
    "413": BODY_TOO_LARGE,
    "414": URL_INVALID,
    "415": UNSUPPORTED_MEDIA_TYPE,
    "416": RANGE_NOT_SATISFIABLE,
    "421": HOST_NOT_ALLOWED,
    "422": TYPE_ERROR,
    "429": RATE_LIMITED,
    "431": HEADERS_TOO_LARGE,
    "500": INTERNAL_ERROR,
    "502": PROVIDER_ERROR,
    "503": QUEUE_UNAVAILABLE,
    "504": PROVIDER_TIMEOUT,
    "507": STORAGE_FULL,
}


def _described(name: str) -> Any:
    return Field(None, description=JobRequest.model_fields[name].description)


class Submission(JobRequest):
    """What is asked for; what is left out is as configured."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    aspect_ratio: AspectRatio | None = _described("aspect_ratio")  # type: ignore[assignment]
    image_size: ImageSize | None = _described("image_size")  # type: ignore[assignment]
    conversation: str | None = Field(
        None, min_length=1, max_length=MAX_CONVERSATION, description="The conversation that `latest` refers to."
    )
    webhook_url: str | None = Field(
        None,
        pattern="^https?://",
        max_length=2048,
        description="An https address that is called when the job has ended.",
    )
    webhook_secret: str | None = Field(
        None,
        pattern="^whsec_[A-Za-z0-9+/]+=*$",
        description="Your own secret of the signature, whsec_…; by default one is derived.",
    )


class ProblemItem(BaseModel):
    """One thing that is wrong with a request, and where."""

    pointer: str
    code: str
    detail: str


class Problem(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str = Field(description="A page that explains this code.")
    title: str
    status: int
    code: str = Field(description="For programs; it never changes.")
    detail: str = Field(description="For people: what happened, and what to do.")
    instance: str = Field(description="The id of this request in the log.")
    retryable: bool = Field(description="Whether the same request may succeed later.")
    hint: str | None = None
    state: str | None = None
    errors: list[ProblemItem] | None = None


class JobPage(BaseModel):
    """A page of jobs, newest first; `next` is the cursor of the following one."""

    jobs: list[JobResponse]
    next: str | None


class SidecarResponse(Sidecar):
    """What is known of an image; the host paths are for tokens with the right `paths` only."""

    path: str | None = None  # type: ignore[assignment]
    source_images: tuple[str, ...] | None = None  # type: ignore[assignment]


class Upload(BaseModel):
    """An image that was uploaded; its id goes into `reference_images`."""

    id: str
    mime: str
    width: int
    height: int
    bytes: int
    sha256: str


def errors(*statuses: str, always: tuple[str, ...] = ALWAYS) -> Responses:
    """Describe the errors of a route: those named, and those that all routes have."""
    return {int(status): _error(BY_STATUS[status]) for status in sorted({*always, *statuses})}


def _error(kind: ErrorKind) -> dict[str, Any]:
    example = {
        "type": f"/problems/{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "code": kind.code,
        "detail": kind.sentence.format_map({}),
        "instance": "urn:request:req_5d1f0c6a7b8e9f0011223344",
        "retryable": kind.retryable,
    }
    content = {"application/problem+json": {"schema": Problem.model_json_schema(), "example": example}}
    return {"description": kind.title, "content": content}


def answer(model: type[BaseModel], status: int = 200) -> Responses:
    """Describe an answer of JSON."""
    return {status: {"model": model}}


def job_answer(*statuses: int) -> Responses:
    """Describe an answer that is a job."""
    words = {200: "The job.", 202: "The job, which is not over yet."}
    return {status: {"model": JobResponse, "description": words[status]} for status in statuses}


def inline(model: type[BaseModel]) -> dict[str, Any]:
    """Describe a body that a route reads by itself."""
    return {"required": True, "content": {"application/json": {"schema": model.model_json_schema()}}}


PICTURE = {"schema": {"type": "string", "format": "binary"}}
_PICTURES = {"content": dict.fromkeys(EXTENSIONS, PICTURE)}
_BYTES = PICTURE | {"example": "the bytes of a picture"}
_FORM = {
    "schema": {"type": "object", "required": ["file"], "properties": {"file": PICTURE["schema"]}},
    "example": {"file": "the bytes of a picture"},
}

SUBMIT = {"requestBody": inline(Submission)}
UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {"multipart/form-data": _FORM, "image/png": _BYTES, "image/jpeg": _BYTES},
    }
}
JOB_LIST = answer(JobPage)
UPLOADED = answer(Upload, 201)
SIDECAR = answer(SidecarResponse)
IMAGE: Responses = {
    200: {"description": "The image."} | _PICTURES,
    206: {"description": "A part of it."} | _PICTURES,
    304: {"description": "It has not changed."},
}
_EVENT = {  # one of them
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("id", "event", "data")},
    "required": ["data"],
}
EVENT_STREAM: Responses = {
    200: {"description": "The events of the job.", "content": {"text/event-stream": {"schema": _EVENT}}},
    204: {"description": "The job has ended, and all its events were sent."},
}
_READY = {
    "type": "object",
    "properties": {
        "ready": {"type": "boolean"},
        "checks": {"type": "object"},
        "installation": {"type": "string"},
        "version": {"type": "string"},
    },
}
SECRET: Responses = {
    200: {
        "description": "The secret.",
        "content": {"application/json": {"schema": {"type": "object", "properties": {"secret": {"type": "string"}}}}},
    }
}
READY: Responses = {
    status: {"description": words, "content": {"application/json": {"schema": _READY}}}
    for status, words in {200: "It could take a job.", 503: "It could not."}.items()
}


def finished(document: dict[str, Any]) -> dict[str, Any]:
    """Take out of a page what FastAPI says of errors, as ours have another form."""
    schemas = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for methods in document["paths"].values():
        for operation in methods.values():
            if "HTTPValidationError" in str(operation["responses"].get("422")):
                del operation["responses"]["422"]
    return document
