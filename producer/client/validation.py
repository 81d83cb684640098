"""A request as a caller sent it: checked, with the defaults filled in, and what it is thought to take.

Every problem is told at once: the first one is raised, the others are beside it.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from contract.errors.catalogue import KINDS
from contract.errors.configuration_catalogue import UNKNOWN_PROVIDER
from contract.errors.exceptions import Refused
from contract.errors.request_catalogue import PROMPT_INVALID_CHARACTERS, PROMPT_REQUIRED, TYPE_ERROR, UNKNOWN_FIELD
from contract.jobs.pricing import estimate
from contract.jobs.request import JobRequest, KeptRequest
from contract.settings.settings import Settings
from contract.store.worker_store import digest
from producer.error_catalogue import UNKNOWN_MODEL

MOST_PROBLEMS = 20  # that are told of one request
_FIELD = re.compile(r"\w{1,50}", re.ASCII)
_EXPECTED = {"float_type": "a number", "int_type": "a whole number", "string_type": "text", "tuple_type": "a list"}


def read_request(fields: Mapping[str, object], settings: Settings) -> JobRequest:
    """Check what a caller sent. Raises Refused for the first problem, with the others beside it."""
    defaults = {
        "aspect_ratio": settings.image.default_aspect_ratio,
        "image_size": settings.image.default_image_size,
    }
    given = {**defaults, **{name: value for name, value in fields.items() if value is not None or name not in defaults}}
    limits = {"max_images": settings.image.max_images_per_turn, "max_seconds": settings.env.deadline_seconds}
    try:
        request = JobRequest.model_validate(given, context=limits)
    except ValidationError as error:
        items = error.errors(include_input=False, include_url=False)[:MOST_PROBLEMS]
        first, *others = [_refusal(item["type"], item["loc"], item.get("ctx", {})) for item in items]
        first.others = tuple(others)
        raise first from error
    return _with_model(request, settings)


def _with_model(request: JobRequest, settings: Settings) -> JobRequest:
    """Let a request name only what was configured. Raises Refused (`unknown_provider`, `unknown_model`)."""
    provider = request.provider or settings.image.provider
    if provider not in settings.provider_names:
        raise _not_configured(settings)
    models = settings.models(provider)
    if request.model not in (None, *models):
        raise Refused(UNKNOWN_MODEL).at("model")
    if provider == settings.image.provider or request.model is not None:
        return request
    if not models:  # its fallbacks have the configured provider's model
        raise _not_configured(settings)
    return request.model_copy(update={"model": models[0]})


def _not_configured(settings: Settings) -> Refused:
    return Refused(UNKNOWN_PROVIDER, configured=" or ".join(settings.provider_names)).at("provider")


def kind_of(request: KeptRequest, settings: Settings) -> str:
    """Name what jobs have in common that take about the same time."""
    provider, model = request.provider or settings.image.provider, request.model or settings.image.model
    return digest(json.dumps([provider, model, request.image_size]))


def price_of(request: KeptRequest, settings: Settings) -> float:
    """Tell in USD what an image of a request is thought to cost."""
    provider, model = request.provider or settings.image.provider, request.model or settings.image.model
    quality = request.quality or settings.providers[provider].extra_body.get("quality")
    known = estimate(provider, model, request.image_size, quality if isinstance(quality, str) else None)
    return settings.env.price_usd if known is None else known


def _refusal(kind: str, location: Sequence[int | str], context: Mapping[str, Any]) -> Refused:
    """Put a problem that pydantic found into our words, with the place where it is."""
    return _told(kind, str(location[0]) if location else "", context).at(*location)


def _told(kind: str, name: str, context: Mapping[str, Any]) -> Refused:
    if kind in KINDS:
        return Refused(KINDS[kind], **context)
    if kind == "extra_forbidden":
        close = difflib.get_close_matches(name, JobRequest.model_fields, n=1)
        field = name if _FIELD.fullmatch(name) else None
        return Refused(UNKNOWN_FIELD, field=field, suggestion=close[0] if close else None)
    if name == "model" and kind != "string_type":  # no model is spelt like that
        return Refused(UNKNOWN_MODEL)
    if name == "prompt":
        return Refused(PROMPT_INVALID_CHARACTERS if kind == "string_unicode" else PROMPT_REQUIRED)
    return Refused(TYPE_ERROR, field=name, expected=f"it must be {_EXPECTED.get(kind, 'something else')}")
