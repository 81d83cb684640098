"""The configured defaults that a job was accepted with, which it keeps although the configuration changes.

They stand in the job hash beside the request, so that neither the request's JSON nor its digest knows of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from contract.errors.catalogue.job_failure import JOB_UNREADABLE
from contract.errors.exceptions import DarkroomError
from contract.frozen_model import Stored
from contract.jobs.request import KeptRequest
from contract.settings.loader import Settings
from contract.settings.nanobot_config import ProviderConfig


class Defaults(Stored):
    """What stands for the fields that a request leaves open; a quality that is not set is the worker's matter."""

    provider: str
    model: str
    quality: str | None = None


def defaults_of(request: KeptRequest, settings: Settings) -> str:
    """Write the defaults of a request that is accepted now."""
    image = settings.image
    told: dict[str, str | None] = {"provider": image.provider, "model": image.model}
    body = settings.providers[request.provider or image.provider].extra_body
    quality = body.get("quality")
    if isinstance(quality, str) or ("quality" not in body and not settings.env.keys_elsewhere):
        told["quality"] = quality
    return Defaults.model_validate(told).model_dump_json(exclude_unset=True)


def accepted_with(fields: Mapping[str, str], request: KeptRequest, settings: Settings) -> Settings:
    """Put the defaults that a job was accepted with into today's settings; a job of an older version has none.

    Raises DarkroomError (`job_unreadable`).
    """
    text = fields.get("defaults")
    if not text:
        return settings
    try:
        defaults = Defaults.model_validate_json(text)
    except ValueError:  # another model may be dearer
        raise DarkroomError(JOB_UNREADABLE) from None
    image = settings.image.model_copy(update={"provider": defaults.provider, "model": defaults.model})
    return settings.model_copy(update={"image": image, "providers": _providers(defaults, request, settings)})


def _providers(defaults: Defaults, request: KeptRequest, settings: Settings) -> dict[str, ProviderConfig]:
    """Set the quality of the provider that is asked first, which the operator gives in its extraBody."""
    name = request.provider or defaults.provider
    config = settings.providers.get(name)
    if config is None or "quality" not in defaults.model_fields_set:
        return settings.providers
    body = {key: value for key, value in config.extra_body.items() if key != "quality"}
    if defaults.quality is not None:
        body["quality"] = defaults.quality
    return {**settings.providers, name: config.model_copy(update={"extra_body": body})}
