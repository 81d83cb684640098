"""The shape of a request: which ratio and which size hold where its caller left one of them open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from contract.aspect_ratio import contradicts, nearest_ratio
from contract.image_size import explicit_size, hint_of
from contract.jobs.job import ReferenceSnapshot
from contract.jobs.request import JobRequest
from contract.provider_specs import SPECS
from contract.settings.loader import Settings


def shaped(
    request: JobRequest, fields: Mapping[str, object], references: Sequence[ReferenceSnapshot], settings: Settings
) -> JobRequest:
    """Give a request the ratio that is meant; a configured size in pixels of another shape becomes a hint.

    `fields` are what the caller sent. The ratio is the one that was named, else that of the pixels that were named,
    else that of the first reference, else the configured one. `auto` names none.
    """
    ratio, size = _ratio(request, fields, references, settings), request.image_size
    sides = explicit_size(size)
    if sides and not _is_named(fields, "image_size") and contradicts(ratio, *sides):
        size = hint_of(*sides)
    return request.model_copy(update={"aspect_ratio": ratio, "image_size": size})


def _ratio(
    request: JobRequest, fields: Mapping[str, object], references: Sequence[ReferenceSnapshot], settings: Settings
) -> str:
    sides = explicit_size(request.image_size)
    if _is_named(fields, "aspect_ratio") and request.aspect_ratio != "auto":
        return request.aspect_ratio
    if sides and _is_named(fields, "image_size"):
        return nearest_ratio(*sides)
    if references and references[0].width and references[0].height:
        spec, model = SPECS[request.provider or settings.image.provider], request.model or settings.image.model
        return nearest_ratio(references[0].width, references[0].height, spec.ratios_of(model))
    if sides and contradicts(request.aspect_ratio, *sides):
        return nearest_ratio(*sides)
    return request.aspect_ratio


def _is_named(fields: Mapping[str, object], name: str) -> bool:
    return fields.get(name) is not None
