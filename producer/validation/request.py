"""A request as a caller sent it: checked, with the defaults filled in, and what it is thought to take.

All problems are reported together: the first one is raised, with the others attached.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import ValidationError

from contract.aspect_ratio import contradicts
from contract.errors.catalogue.configuration import UNKNOWN_PROVIDER
from contract.errors.catalogue.request import PROMPT_INVALID_CHARACTERS, PROMPT_REQUIRED, SIZE_CONTRADICTS_RATIO
from contract.errors.exceptions import Refused
from contract.errors.kind import ErrorKind
from contract.image_size import explicit_size
from contract.jobs.pricing import estimate
from contract.jobs.request import CONFIGURED, JobRequest, KeptRequest
from contract.settings.loader import Settings
from contract.store.keys import digest
from producer.error_catalogue import UNKNOWN_MODEL
from producer.validation.refusals import refused_by


def read_request(fields: Mapping[str, object], settings: Settings) -> JobRequest:
    """Check what a caller sent. Raises Refused for the first problem, with the others attached."""
    defaults = {name: getattr(settings.image, f"default_{name}") for name in CONFIGURED}
    given = {**defaults, **{name: value for name, value in fields.items() if value is not None or name not in defaults}}
    limits = {"max_images": settings.image.max_images_per_turn, "max_seconds": settings.env.deadline_seconds}
    try:
        request = JobRequest.model_validate(given, context=limits)
    except ValidationError as error:
        raise refused_by(error, JobRequest, _kind_of) from error
    _check_shape(fields, request)
    return _with_model(request, settings)


def _check_shape(fields: Mapping[str, object], request: JobRequest) -> None:
    """Refuse a size of another shape than the ratio, where the caller has named both."""
    sides = explicit_size(request.image_size)
    is_named = fields.get("aspect_ratio") is not None and fields.get("image_size") is not None
    if is_named and sides and contradicts(request.aspect_ratio, *sides):
        values = {"size": request.image_size, "ratio": request.aspect_ratio}
        raise Refused(SIZE_CONTRADICTS_RATIO, **values).at("image_size")


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


def _kind_of(problem: str, name: str) -> ErrorKind | None:
    """Tell which of a request's fields have error codes of their own."""
    if name == "model" and problem != "string_type":  # no model is spelt like that
        return UNKNOWN_MODEL
    if name == "prompt":
        return PROMPT_INVALID_CHARACTERS if problem == "string_unicode" else PROMPT_REQUIRED
    return None
