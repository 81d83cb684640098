"""What the OpenAPI page tells of OpenAI's and ModelScope's routes: bodies, answers, and errors in their words."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from contract.aspect_ratio import RATIOS
from contract.errors.exceptions import Refused
from contract.errors.kind import ErrorKind
from contract.jobs.request import MAX_PROMPT, MAX_REFERENCES
from producer.api.openai.error_envelope import envelope
from producer.api.openapi import ALWAYS, BODY, BY_STATUS, EXAMPLE, PICTURE, Responses, answer, errors, inline

_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
DataUrl = Annotated[str, Field(pattern="^data:image/[a-z]+;base64,")]


class Generation(BaseModel):
    """A request for images in OpenAI's words; fields that are not known here are ignored."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"prompt": EXAMPLE["prompt"], "size": "1536x1024"}]})

    prompt: str = Field(min_length=1, max_length=MAX_PROMPT)
    model: str | None = Field(
        None, description="One of those that /v1/models lists; gpt-image-… means the default one."
    )
    n: int | None = Field(1, ge=1, le=8)
    size: str | None = Field(
        None, description="WIDTHxHEIGHT, a ratio such as 9:16, or auto: the nearest ratio and size are used."
    )
    aspect_ratio: Literal[RATIOS] | None = Field(None, description="Takes precedence over `size`.")  # type: ignore[valid-type]
    quality: str | None = Field(None, description="low, medium, high or auto.")
    output_format: Literal["png", "jpeg", "webp"] | None = Field(
        None, description="By default the format in which it was made."
    )
    output_compression: int | None = Field(None, ge=0, le=100)
    response_format: Literal["b64_json", "url"] | None = None
    stream: bool | None = None
    user: str | None = Field(None, description="The end user, from a token with the right `users`.")


class Edit(Generation):
    """The same with pictures, as data URLs."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"prompt": "make it night", "image": f"data:image/png;base64,{_PIXEL}"}]}
    )

    image: DataUrl | Annotated[list[DataUrl], Field(min_length=1, max_length=MAX_REFERENCES)]


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


_EDIT_FORM = {
    "schema": {
        "type": "object",
        "required": ["prompt", "image"],
        "properties": {
            "prompt": {"type": "string", "minLength": 1},
            "image": {"type": "array", "minItems": 1, "items": PICTURE["schema"]},
            "n": {"type": "string"},
            "size": {"type": "string"},
            "model": {"type": "string"},
        },
    },
    "example": {"prompt": "make it night", "image": ["the bytes of a picture"]},
}


def _in_openais_words(model: type[BaseModel], *statuses: str) -> Responses:
    """Describe an answer of OpenAI's API and its errors."""
    always = tuple(status for status in ALWAYS if status != "422")  # which OpenAI calls 400
    return answer(model) | {int(status): _error(BY_STATUS[status]) for status in sorted({*always, *statuses})}


def _error(kind: ErrorKind) -> dict[str, Any]:
    told = {"schema": OpenAIError.model_json_schema(), "example": envelope(Refused(kind))}
    return {"description": kind.title, "content": {"application/json": told}}


GENERATE = {"requestBody": inline(Generation)}
EDIT = {"requestBody": {"required": True, "content": {**inline(Edit)["content"], "multipart/form-data": _EDIT_FORM}}}
_EVENTS = {"text/event-stream": {"schema": {"type": "object"}}}  # with `stream`
GENERATED = _in_openais_words(Generated, *BODY, "404", "409", "502", "504", "507")
GENERATED[200] |= {"description": "The images; as events with `stream`.", "content": _EVENTS}
MODELS = _in_openais_words(ModelList)
MODEL = _in_openais_words(Model, "404")
TASK = answer(Task) | errors("404")
