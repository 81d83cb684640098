"""What the OpenAPI page tells that cannot be read off the routes: bodies we read ourselves, errors, examples."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from contract.artifacts import Sidecar
from contract.images import EXTENSIONS
from contract.job import MAX_PROMPT, MAX_REFERENCES, RATIOS, AllowedFallback, Quality
from contract.kinds import KINDS
from producer.api.view import ShownJob

Responses = dict[int | str, dict[str, Any]]

EXAMPLE: dict[str, Any] = {"prompt": "a red fox in the snow", "count": 2, "aspect_ratio": "16:9", "image_size": "1K"}
ALWAYS = ("400", "401", "403", "414", "421", "422", "429", "503")
_BY_STATUS: dict[str, str] = {
    "400": "bad_request",
    "401": "unauthorized",
    "403": "forbidden",
    "404": "job_not_found",
    "409": "job_not_finished",
    "413": "body_too_large",
    "414": "url_invalid",
    "415": "unsupported_media_type",
    "421": "host_not_allowed",
    "422": "type_error",
    "429": "rate_limited",
    "500": "internal_error",
    "502": "provider_error",
    "503": "queue_unavailable",
    "504": "provider_timeout",
    "507": "storage_full",
}


class Submission(BaseModel):
    """What is asked for; what is left out is as configured."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE]})

    prompt: str = Field(min_length=1, max_length=MAX_PROMPT, description="What the picture shall show.")
    count: int = Field(1, ge=1, le=8, description="How many images; the operator may allow fewer than 8.")
    aspect_ratio: Literal[RATIOS] | None = None  # type: ignore[valid-type]
    image_size: str | None = Field(None, pattern="^(512|1K|2K|4K|auto|[1-9][0-9]{1,3}x[1-9][0-9]{1,3})$")
    reference_images: list[str] = Field(
        [], max_length=MAX_REFERENCES, description='Ids of uploads or of own images, or "latest" of the conversation.'
    )
    quality: Quality | None = Field(None, description="Where the provider knows qualities; null: as configured.")
    fallback: AllowedFallback | None = Field(None, description="What may be delivered instead; null: any.")
    attempt_timeout_seconds: float | None = Field(None, ge=1, description="The longest that one call may take.")
    deadline_seconds: float | None = Field(None, ge=1, description="The longest that the job may run.")
    provider: str | None = Field(None, description="Of those configured.")
    model: str | None = Field(None, description="Of those that /v1/models lists.")
    conversation: str | None = Field(None, min_length=1, max_length=200, description="What `latest` refers to.")
    webhook_url: str | None = Field(None, description="An https address that is told when the job is over.")
    webhook_secret: str | None = Field(None, description="whsec_… of your own to sign with; else one is derived.")


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
    instance: str = Field(description="Names this request in the log.")
    retryable: bool = Field(description="Whether the very same request may succeed later.")
    mend: str | None = None
    state: str | None = None
    errors: list[ProblemItem] | None = None


class JobPage(BaseModel):
    """A page of jobs, newest first; `next` is the cursor of the following one."""

    jobs: list[ShownJob]
    next: str | None


class Upload(BaseModel):
    """An image that was uploaded; its id goes into `reference_images`."""

    id: str
    mime: str
    width: int
    height: int
    bytes: int
    sha256: str


def errors(*statuses: str) -> Responses:
    """Describe the errors of a route: those named, and those that all routes have."""
    return {int(status): _error(_BY_STATUS[status]) for status in sorted({*ALWAYS, *statuses})}


def _error(code: str) -> dict[str, Any]:
    kind = KINDS[code]
    example = {
        "type": f"/problems/{code}",
        "title": kind.title,
        "status": kind.status,
        "code": code,
        "detail": kind.sentence.format_map({}),
        "instance": "urn:request:req_5d1f0c6a7b8e9f0011223344",
        "retryable": kind.retryable,
    }
    content = {"application/problem+json": {"schema": Problem.model_json_schema(), "example": example}}
    return {"description": kind.title, "content": content}


def _answer(model: type[BaseModel], status: int = 200) -> Responses:
    return {status: {"model": model}}


def job_answer(*statuses: int) -> Responses:
    """Describe an answer that is a job."""
    words = {200: "The job.", 202: "The job, which is not over yet."}
    return {status: {"model": ShownJob, "description": words[status]} for status in statuses}


def _inline(model: type[BaseModel]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": model.model_json_schema()}}}


class Generation(BaseModel):
    """A request for images in OpenAI's words; fields that are not known here are ignored."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"prompt": EXAMPLE["prompt"], "size": "1536x1024"}]})

    prompt: str = Field(min_length=1, max_length=MAX_PROMPT)
    model: str | None = Field(None, description="Of those that /v1/models lists; gpt-image-… is the default one.")
    n: int | None = Field(1, ge=1, le=8)
    size: str | None = Field(None, description="WIDTHxHEIGHT or auto: the nearest ratio and size are taken.")
    aspect_ratio: Literal[RATIOS] | None = Field(None, description="Goes before `size`.")  # type: ignore[valid-type]
    quality: str | None = Field(None, description="low, medium, high or auto.")
    output_format: Literal["png", "jpeg", "webp"] | None = Field(None, description="As it was made, if none is named.")
    output_compression: int | None = Field(None, ge=0, le=100)
    response_format: Literal["b64_json", "url"] | None = None
    stream: bool | None = None
    user: str | None = Field(None, description="The end user, from a token with the right `users`.")


class Edit(Generation):
    """The same with pictures, as data URLs."""

    image: str | list[str]


class Generated(BaseModel):
    """Finished images in OpenAI's words."""

    created: int
    data: list[dict[str, str]]
    background: str
    output_format: str
    quality: str
    size: str
    darkroom: dict[str, Any]


class Model(BaseModel):
    """A model that a request may name."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(BaseModel):
    """All of them."""

    object: Literal["list"]
    data: list[Model]


class Task(BaseModel):
    """A job in ModelScope's words."""

    task_id: str
    task_status: Literal["PENDING", "PROCESSING", "SUCCEED", "FAILED"]
    output_images: list[str] | None = None
    message: str | None = None
    errors: dict[str, str] | None = None


class OpenAIError(BaseModel):
    """An error in OpenAI's words."""

    error: dict[str, Any]


_PICTURE = {"schema": {"type": "string", "format": "binary"}}
_PICTURES = {"content": dict.fromkeys(EXTENSIONS, _PICTURE)}
_FORM = {"schema": {"type": "object", "required": ["file"], "properties": {"file": _PICTURE["schema"]}}}

_EDIT_FORM = {
    "schema": {
        "type": "object",
        "required": ["prompt", "image"],
        "properties": {
            "prompt": {"type": "string", "minLength": 1},
            "image": {"type": "array", "items": _PICTURE["schema"]},
            "n": {"type": "string"},
            "size": {"type": "string"},
            "model": {"type": "string"},
        },
    }
}


def _in_openais_words(model: type[BaseModel], *statuses: str) -> Responses:
    """Describe an answer of OpenAI's API and its errors."""
    told = {"application/json": {"schema": OpenAIError.model_json_schema()}}
    wrong: Responses = {
        int(status): {"description": KINDS[_BY_STATUS[status]].title, "content": told} for status in statuses
    }
    return _answer(model) | wrong


GENERATE = {"requestBody": _inline(Generation)}
EDIT = {"requestBody": {"required": True, "content": {**_inline(Edit)["content"], "multipart/form-data": _EDIT_FORM}}}
GENERATED = _in_openais_words(
    Generated, *("400", "401", "403", "404", "413", "414", "415", "421", "429", "500", "502", "503", "504", "507")
)
MODELS = _in_openais_words(ModelList, "401", "403", "414", "421")
MODEL = _in_openais_words(Model, "401", "403", "404", "414", "421")
TASK = _answer(Task) | errors("404")
SUBMIT = {"requestBody": _inline(Submission)}
UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {"multipart/form-data": _FORM, "image/png": _PICTURE, "image/jpeg": _PICTURE},
    }
}
JOB_LIST = _answer(JobPage)
UPLOADED = _answer(Upload, 201)
SIDECAR = _answer(Sidecar)
IMAGE: Responses = {
    200: {"description": "The image."} | _PICTURES,
    206: {"description": "A part of it."} | _PICTURES,
    304: {"description": "It is as it was."},
    416: {"description": "It has no such part."},
}
EVENT_STREAM: Responses = {
    200: {"description": "The job's story.", "content": {"text/event-stream": {"schema": {"type": "string"}}}},
    204: {"description": "The job is over, and all was told."},
}
SECRET: Responses = {
    200: {
        "description": "The secret.",
        "content": {"application/json": {"schema": {"type": "object", "properties": {"secret": {"type": "string"}}}}},
    }
}
