"""The ladder of one job: the ways to run its request, in the order they are tried."""

from __future__ import annotations

from dataclasses import dataclass, replace

from contract.errors.catalogue.configuration import UNKNOWN_PROVIDER
from contract.errors.exceptions import Refused
from contract.jobs.job import Rendition
from contract.jobs.request import KeptRequest
from contract.settings.loader import Settings
from worker.providers.provider import Provider

Route = tuple[str, str]  # a provider and its model


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One way to run the request."""

    provider: str
    model: str
    image_size: str
    quality: str | None
    timeout_s: float
    patience_s: float = 0.0  # the operator's time-out, which the caller may have shortened

    @property
    def route(self) -> Route:
        """Tell to whom a call on this rung goes."""
        return self.provider, self.model

    def rendition(self) -> Rendition:
        """Tell what is asked for, without the time-out."""
        return Rendition(provider=self.provider, model=self.model, image_size=self.image_size, quality=self.quality)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """A job's ladder; a first back-off lasts up to `retry_s`."""

    rungs: tuple[Rung, ...]
    retry_s: float = 1.0
    has_references: bool = False


def plan_ladder(request: KeptRequest, settings: Settings, providers: dict[str, Provider]) -> Ladder:
    """Make the rungs of a request: as asked, then DARKROOM_FALLBACKS or cheaper and smaller ones, as it allows.

    Raises Refused (`unknown_provider`).
    """

    def limits(name: str, own_s: float | None = None) -> dict[str, float]:
        patience_s = own_s or settings.env.attempt_timeout_seconds or providers[name].timeout_s
        return {"patience_s": patience_s, "timeout_s": min(patience_s, request.attempt_timeout_seconds or patience_s)}

    provider = _chosen(request.provider or settings.image.provider, providers)
    body = settings.providers[provider.name].extra_body
    configured = body.get("quality") if isinstance(body.get("quality"), str) else None
    first = Rung(
        provider=provider.name,
        model=request.model or settings.image.model,
        image_size=request.image_size,
        quality=request.quality or configured,
        **limits(provider.name),
    )
    if settings.env.fallbacks is None:
        below = _cheaper(first, provider, request.fallback or "any")
    else:
        own = [
            replace(
                first,
                provider=fallback.provider or first.provider,
                model=fallback.model or first.model,
                image_size=fallback.image_size or first.image_size,
                quality=fallback.quality or first.quality,
                **limits(fallback.provider or first.provider, fallback.timeout_seconds),
            )
            for fallback in settings.env.fallbacks
        ]
        below = [rung for rung in own if _is_allowed(rung, first, request.fallback or "any")]
    return Ladder(
        rungs=(first, *below), retry_s=settings.env.retry_seconds, has_references=bool(request.reference_images)
    )


def _chosen(name: str, providers: dict[str, Provider]) -> Provider:
    if name not in providers:
        raise Refused(UNKNOWN_PROVIDER, provider=name)
    return providers[name]


def _cheaper(first: Rung, provider: Provider, fallback: str) -> list[Rung]:
    rungs = [first]
    if fallback in ("any", "quality") and provider.fast_quality and first.quality != provider.fast_quality:
        rungs.append(replace(first, quality=provider.fast_quality))
    size: str | None = first.image_size
    while fallback in ("any", "size") and size and (size := provider.smaller(size)):
        rungs.append(replace(rungs[-1], image_size=size))
    return rungs[1:]


def _is_allowed(rung: Rung, first: Rung, fallback: str) -> bool:
    may_differ = {"quality": {"quality"}, "size": {"image_size"}, "none": set()}
    here, there = rung.rendition().model_dump(), first.rendition().model_dump()
    return fallback == "any" or (
        fallback != "none" and {name for name in here if here[name] != there[name]} <= may_differ[fallback]
    )
