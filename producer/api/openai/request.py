"""A request in OpenAI's words, turned into ours: pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from contract.aspect_ratio import RATIOS, nearest_ratio
from contract.errors.catalogue.request import TYPE_ERROR
from contract.errors.exceptions import Refused
from contract.image_size import hint_of
from contract.settings.loader import Settings
from producer.error_catalogue import BACKGROUND_NOT_SUPPORTED, UNKNOWN_MODEL

Format = Literal["png", "jpeg", "webp"]

MIMES: dict[str, str] = {"png": "image/png", "jpeg": "image/jpeg", "jpg": "image/jpeg", "webp": "image/webp"}
_ALIAS = re.compile(r"(?:[\w.-]+/)?(?:chatgpt-image|gpt-image|dall-e)[\w.-]*", re.ASCII)
_LINKING = re.compile(r"(?:[\w.-]+/)?dall-e[\w.-]*", re.ASCII)  # models that answer with links
_SIZE = re.compile(r"([1-9][0-9]{1,4})\s*[xX×*]\s*([1-9][0-9]{1,4})")
_RATIO = re.compile(r"([1-9][0-9]{0,3})\s*:\s*([1-9][0-9]{0,3})")
_WHOLE = re.compile(r"([0-9]{1,9})(?:\.0{1,9})?")
_QUALITIES = {"hd": "high", "xhigh": "high", "max": "high"}
_SHAPE = ("aspect_ratio", "image_size")
_ANY_QUALITY = ("auto", "standard")  # what clients send unasked


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIRequest:
    """What a client of OpenAI's API asks for: fields of a job, and the form of the answer."""

    fields: dict[str, Any] = field(repr=False)
    mime: str | None  # None: as it was made
    compression: int | None
    as_url: bool
    is_stream: bool
    user: str | None
    is_default_model: bool  # another one was asked for
    names: Mapping[str, str] = field(default_factory=dict)  # what the caller calls fields of ours


def read_openai_request(body: Mapping[str, Any], settings: Settings) -> OpenAIRequest:
    """Read a request; unknown fields are ignored, as OpenAI's clients send ever more of them. Raises Refused."""
    model, is_default = _model(_text(body, "model"), settings)
    count = _number(body, "n")
    fields: dict[str, Any] = {"prompt": body.get("prompt"), "count": 1 if count is None else count}
    if model is not None:
        fields["model"] = model
    fields |= _shape(_text(body, "size"), _text(body, "aspect_ratio"), _text(body, "image_size"))
    if _word(body, "background") == "transparent":
        raise Refused(BACKGROUND_NOT_SUPPORTED).at("background")
    quality = _word(body, "quality")
    if quality and quality not in _ANY_QUALITY:
        fields["quality"] = _QUALITIES.get(quality, quality)
    if conversation := _text(body, "conversation"):
        fields["conversation"] = conversation
    is_stream = _flag(body, "stream")
    return OpenAIRequest(
        fields=fields,
        mime=_mime(body),
        compression=_compression(body),
        as_url=_is_url(body, is_default=_is_linking(body) and not is_stream),
        is_stream=is_stream,
        user=_text(body, "user"),
        is_default_model=is_default,
        names={"count": "n", "reference_images": "image"} | {ours: "size" for ours in _SHAPE if not body.get(ours)},
    )


def _shape(size: str | None, aspect_ratio: str | None, image_size: str | None) -> dict[str, str]:
    """Tell ratio and size of WIDTHxHEIGHT, of a size of ours, or of nothing in particular."""
    shape: dict[str, str] = {}
    if size and (sides := _SIZE.fullmatch(size.strip())):
        width, height = int(sides[1]), int(sides[2])
        shape = {"aspect_ratio": nearest_ratio(width, height), "image_size": hint_of(width, height)}
    elif size and (ratio := size.replace(" ", "")) in RATIOS and ratio != "auto":
        shape = {"aspect_ratio": ratio}
    elif size and (sides := _RATIO.fullmatch(size.strip())):
        shape = {"aspect_ratio": nearest_ratio(int(sides[1]), int(sides[2]))}
    elif size and size.strip().lower() != "auto":
        shape = {"image_size": size.strip().upper()}
    own = {"aspect_ratio": aspect_ratio, "image_size": image_size}
    return shape | {name: value for name, value in own.items() if value}


def _model(name: str | None, settings: Settings) -> tuple[str | None, bool]:
    """Find the model that is meant; None is the default one. Raises Refused (`unknown_model`)."""
    if not name or (found := _configured(name, settings)):
        return (found if name else None), False
    if _ALIAS.fullmatch(name) or settings.env.any_model:
        return None, True
    raise Refused(UNKNOWN_MODEL).at("model")


def is_model(name: str, settings: Settings) -> bool:
    """Tell whether a request may name a model."""
    return _configured(name, settings) is not None or _ALIAS.fullmatch(name) is not None


def _configured(name: str, settings: Settings) -> str | None:
    """Find a configured model, also with one more vendor before its name, or without its own if that is enough."""
    models = settings.models(settings.image.provider)
    alike = [model for model in models if name.endswith(f"/{model}") or model.endswith(f"/{name}")]
    return name if name in models else alike[0] if len(alike) == 1 else None


def _is_linking(body: Mapping[str, Any]) -> bool:
    return _LINKING.fullmatch(_text(body, "model") or "") is not None


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise Refused(TYPE_ERROR, field=name, expected="it must be text").at(name)
    return value


def _word(body: Mapping[str, Any], name: str) -> str | None:
    """Read text whose letter case means nothing."""
    text = _text(body, name)
    return text.strip().lower() if text else None


def _number(body: Mapping[str, Any], name: str) -> int | None:
    """Read a whole number, which a form has as text."""
    value = body.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, str) and (whole := _WHOLE.fullmatch(value.strip())):
        return int(whole[1])
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refused(TYPE_ERROR, field=name, expected="it must be a whole number").at(name)
    return value


def _mime(body: Mapping[str, Any]) -> str | None:
    output = (_word(body, "output_format") or "").removeprefix("image/")
    if output and output not in MIMES:
        raise Refused(TYPE_ERROR, field="output_format", expected="it must be png, jpeg or webp").at("output_format")
    return MIMES.get(output)


def _compression(body: Mapping[str, Any]) -> int | None:
    value = _number(body, "output_compression")
    if value is not None and not 0 <= value <= 100:
        raise Refused(TYPE_ERROR, field="output_compression", expected="it must be 0 to 100").at("output_compression")
    return value


def _is_url(body: Mapping[str, Any], *, is_default: bool) -> bool:
    form = _word(body, "response_format")
    if form not in (None, "b64_json", "url"):
        raise Refused(TYPE_ERROR, field="response_format", expected="it must be b64_json or url").at("response_format")
    return form == "url" if form else is_default


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name)
    if isinstance(value, str):
        value = value.strip().lower()
    if value is None or value is False or value in ("", "false", "0"):
        return False
    if value is True or value in ("true", "1"):
        return True
    raise Refused(TYPE_ERROR, field=name, expected="it must be true or false").at(name)
