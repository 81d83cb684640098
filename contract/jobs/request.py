"""What a caller asks for, and what may be asked for: checked to the last character."""

from __future__ import annotations

import math
import unicodedata
from typing import Annotated, Literal, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    model_serializer,
)
from pydantic_core import PydanticCustomError

from contract.errors.request_catalogue import (
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
from contract.image_size import MAX_SIDE, MIN_SIDE, SIZES, explicit_size

RATIOS = (
    *("auto", "1:1", "3:4", "9:16", "4:3", "16:9", "2:3", "3:2", "4:5", "5:4", "21:9", "9:21"),
    *("1:2", "2:1", "1:4", "4:1", "1:8", "8:1"),
)
MAX_PROMPT, MAX_REFERENCES, LEAST_TIME_S = 32_000, 16, 1.0

_INVISIBLE = frozenset({"Cf", "Cc", "Zs", "Zl", "Zp", "Mn"})


def _ratio(value: str) -> str:
    ratio = value.strip(" ").lower()
    if ratio not in RATIOS:
        raise PydanticCustomError(ASPECT_RATIO_INVALID.code, "not a known ratio", {"allowed": ", ".join(RATIOS)})
    return ratio


def _size(value: str) -> str:
    text = value.strip(" ")
    if text.upper() in SIZES:
        return text.upper()
    text = text.lower()
    sides = explicit_size(text)
    if text != "auto" and not (sides and all(MIN_SIDE <= side <= MAX_SIDE for side in sides)):
        raise PydanticCustomError(IMAGE_SIZE_INVALID.code, "not a known size")
    return text


def _prompt(value: str) -> str:
    if len(value) > MAX_PROMPT:
        raise PydanticCustomError(PROMPT_TOO_LONG.code, "too long", {"max": MAX_PROMPT})
    if "\0" in value or any(0xD800 <= ord(char) <= 0xDFFF for char in value):
        raise PydanticCustomError(PROMPT_INVALID_CHARACTERS.code, "unusable characters")
    value = "".join(char for char in value if char in "\n\t" or unicodedata.category(char) != "Cc")
    if all(unicodedata.category(char) in _INVISIBLE for char in value):
        raise PydanticCustomError(PROMPT_REQUIRED.code, "empty")
    return value


def _count(value: int, info: ValidationInfo) -> int:
    maximum = (info.context or {}).get("max_images", 8)
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


AspectRatio = Annotated[str, AfterValidator(_ratio)]
ImageSize = Annotated[str, AfterValidator(_size)]
Quality = Literal["low", "medium", "high"]
AllowedFallback = Literal["any", "quality", "size", "none"]
TimeLimit = Annotated[float, AfterValidator(_time)]
ModelName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\w:@+-][\w.:@+-]*(/[\w:@+-][\w.:@+-]*)*$")]


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
    """What a caller asks for, checked; sizes and ratios are already the effective ones."""

    model_config = ConfigDict(extra="forbid", strict=True)

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
