"""What a caller asks for, and what may be asked for: checked to the last character.

`JobRequest` is the one definition of a request's fields. HTTP's OpenAPI page, the tools of MCP and of nanobot, and the
options of the command line are made from it.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    WithJsonSchema,
    model_serializer,
)
from pydantic_core import PydanticCustomError

from contract.aspect_ratio import RATIOS
from contract.errors.catalogue.request import (
    ASPECT_RATIO_INVALID,
    COUNT_OUT_OF_RANGE,
    FALLBACK_INVALID,
    IMAGE_SIZE_INVALID,
    PROMPT_INVALID_CHARACTERS,
    PROMPT_REQUIRED,
    PROMPT_TOO_LONG,
    QUALITY_INVALID,
    TIMEOUT_OUT_OF_RANGE,
    TOO_MANY_REFERENCES,
)
from contract.frozen_model import Stored
from contract.image_size import ALIASES, MAX_SIDE, MIN_SIDE, SIZES, explicit_size

MAX_PROMPT, MAX_IMAGES, MAX_REFERENCES, LEAST_TIME_S = 32_000, 8, 16, 1.0
CONFIGURED = frozenset({"aspect_ratio", "image_size"})  # a caller may leave them out: the configuration has them

_UNUSABLE = re.compile("[\0\ud800-\udfff]")  # also a half of a surrogate pair
_CONTROL = re.compile("[\x01-\x08\x0b-\x1f\x7f-\x9f]")  # the category Cc without tabs and newlines
_INVISIBLE = frozenset({"Cf", "Cc", "Zs", "Zl", "Zp", "Mn"})


def _ratio(value: str) -> str:
    ratio = value.strip(" ").lower()
    if ratio not in RATIOS:
        raise PydanticCustomError(ASPECT_RATIO_INVALID.code, "not a known ratio", {"allowed": ", ".join(RATIOS)})
    return ratio


def _size(value: str) -> str:
    text = value.strip(" ")
    if (hint := ALIASES.get(text.upper(), text.upper())) in SIZES:
        return hint
    text = text.lower()
    sides = explicit_size(text)
    if text != "auto" and not (sides and all(MIN_SIDE <= side <= MAX_SIDE for side in sides)):
        raise PydanticCustomError(IMAGE_SIZE_INVALID.code, "not a known size")
    return text


def _prompt(value: str) -> str:
    if len(value) > MAX_PROMPT:
        raise PydanticCustomError(PROMPT_TOO_LONG.code, "too long", {"max": MAX_PROMPT})
    if _UNUSABLE.search(value):
        raise PydanticCustomError(PROMPT_INVALID_CHARACTERS.code, "unusable characters")
    value = _CONTROL.sub("", value)
    if all(unicodedata.category(char) in _INVISIBLE for char in value.lstrip()):
        raise PydanticCustomError(PROMPT_REQUIRED.code, "empty")
    return value


def _count(value: int, info: ValidationInfo) -> int:
    maximum = (info.context or {}).get("max_images", MAX_IMAGES)
    if not 1 <= value <= maximum:
        raise PydanticCustomError(COUNT_OUT_OF_RANGE.code, "out of range", {"max": maximum})
    return value


def _references(values: tuple[str, ...]) -> tuple[str, ...]:
    different = tuple(dict.fromkeys(values))
    if len(different) > MAX_REFERENCES:
        raise PydanticCustomError(TOO_MANY_REFERENCES.code, "too many", {"max": MAX_REFERENCES})
    return different


def _allowed(value: object) -> object:
    if value is not None and value not in get_args(AllowedFallback):
        raise PydanticCustomError(FALLBACK_INVALID.code, "not a known kind of fallback")
    return value


def _quality(value: object) -> object:
    if value is not None and value not in get_args(Quality):
        raise PydanticCustomError(QUALITY_INVALID.code, "not a known quality")
    return value


def _time(value: float, info: ValidationInfo) -> float:
    most = (info.context or {}).get("max_seconds")
    if not (math.isfinite(value) and LEAST_TIME_S <= value <= (most or value)):
        raise PydanticCustomError(TIMEOUT_OUT_OF_RANGE.code, "out of range", {"field": info.field_name, "max": most})
    return value


AspectRatio = Annotated[str, AfterValidator(_ratio), WithJsonSchema({"type": "string", "enum": list(RATIOS)})]
ImageSize = Annotated[
    str,
    AfterValidator(_size),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": f"^({'|'.join((*SIZES, *map(re.escape, ALIASES)))}|auto|[1-9][0-9]{{1,3}}x[1-9][0-9]{{1,3}})$",
        }
    ),
]
Quality = Literal["low", "medium", "high"]
AllowedFallback = Literal["any", "quality", "size", "none"]
TimeLimit = Annotated[float, AfterValidator(_time), WithJsonSchema({"type": "number", "minimum": int(LEAST_TIME_S)})]
ModelName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\w:@+-][\w.:@+-]*(/[\w:@+-][\w.:@+-]*)*$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """How the ways in offer a field. Its description is for HTTP and, unless there is `help`, for the command line."""

    to_models: str | None = None  # what chat models are told of it in tools; None: their tools do not have it
    help: str | None = None
    options: tuple[str, ...] = ()  # on the command line, if not --<name>
    values: tuple[str, ...] = ()  # that a shell completes


class KeptRequest(Stored):
    """A request that was checked when it was accepted, perhaps by a version that lets more be asked for."""

    prompt: str
    count: int = 1
    aspect_ratio: str
    image_size: str
    reference_images: tuple[str, ...] = ()
    quality: str | None = None
    fallback: str | None = None
    attempt_timeout_seconds: float | None = None
    deadline_seconds: float | None = None
    provider: str | None = None
    model: str | None = None

    @model_serializer(mode="wrap")
    def _without_what_is_missing(self, write: SerializerFunctionWrapHandler) -> dict[str, object]:
        return {name: value for name, value in write(self).items() if value is not None}


class JobRequest(KeptRequest):
    """What a caller asks for, checked; sizes and ratios are already the effective ones.

    What a caller leaves out is null and not written, so that the JSON of a request without a field stays as it was
    before there was that field.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    prompt: Annotated[
        str,
        AfterValidator(_prompt),
        WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_PROMPT}),
        Offered(
            to_models="What the image should show, or how a reference should be changed: subject, style, light, "
            "composition, and any text in it, in as much detail as is known.",
        ),
    ] = Field(description="What the image should show.")
    count: Annotated[
        int,
        AfterValidator(_count),
        WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MAX_IMAGES}),
        Offered(
            to_models="How many variants to make at the same time; 1 if left out. Better than several calls.",
            options=("--count", "-n"),
        ),
    ] = Field(1, description=f"How many images; the operator may allow fewer than {MAX_IMAGES} (maxImagesPerTurn).")
    aspect_ratio: Annotated[
        AspectRatio,
        Offered(
            to_models="Width to height, such as 1:1, 3:4 or 16:9; left out, an edit keeps that of its first "
            "reference, and a new image is as configured.",
            options=("--aspect-ratio", "-a"),
            values=RATIOS,
        ),
    ] = Field(
        description="Width to height, such as 1:1, 3:4, 16:9 or auto; by default that of the first reference, "
        "else as configured."
    )
    image_size: Annotated[
        ImageSize,
        Offered(
            to_models=f"{', '.join(SIZES)}, or WIDTHxHEIGHT in pixels; left out, it is as configured.",
            options=("--image-size", "-s"),
            values=(*SIZES, "auto"),
        ),
    ] = Field(description="Such as 1K, 2K, 4K, 1024x1024 or auto; by default as configured.")
    reference_images: Annotated[
        tuple[str, ...],
        Field(strict=False),
        AfterValidator(_references),
        WithJsonSchema({"type": "array", "items": {"type": "string"}, "maxItems": MAX_REFERENCES}),
        Offered(
            to_models="Images to change or to go by: artifact ids of earlier answers (img_…), ids of uploads (up_…), "
            "`latest` for the newest image made here by this user, or paths of image files where you may name paths. "
            "Artifact ids are the safest.",
            help="Path, artifact id or latest.",
            options=("--reference", "-r"),
        ),
    ] = Field((), description='Ids of uploads or of your images, or "latest" for the newest image of the conversation.')
    quality: Annotated[Quality | None, BeforeValidator(_quality), Offered(values=get_args(Quality))] = Field(
        None, description="low, medium or high, if the provider supports qualities; by default as configured."
    )
    fallback: Annotated[
        AllowedFallback | None, BeforeValidator(_allowed), Offered(values=get_args(AllowedFallback))
    ] = Field(
        None,
        description="What may be delivered instead, if necessary: any (the default), quality (a lower one), "
        "size (a smaller one), none.",
    )
    attempt_timeout_seconds: Annotated[TimeLimit | None, Offered(options=("--attempt-timeout",))] = Field(
        None, description="Maximum seconds of one call to the provider; the operator may allow less."
    )
    deadline_seconds: Annotated[TimeLimit | None, Offered(options=("--deadline",))] = Field(
        None, description="Maximum seconds of the job from its start; the operator may allow less."
    )
    provider: str | None = Field(None, description="One of the configured providers.")
    model: Annotated[ModelName, WithJsonSchema({"type": "string"})] | None = Field(
        None, description="One of the configured models, which GET /v1/models lists."
    )
