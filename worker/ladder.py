"""Which rung next: pure decisions from a plan, what happened so far, and the time.

A timed-out call may have been billed, so the next rung is tried; only the last rung is tried once
more. A cut-off one is repeated once. Calls that our own worker gave up say nothing about a rung.
Refused content goes nowhere else. What a provider cannot do is only asked of a rung that differs
in just that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from contract.job import Attempt, JobRequest, Outcome, Rendition
from contract.settings import Settings
from worker.providers.provider import Provider

# How often one rung is tried before the next, by how it failed.
TRIES = {
    Outcome.DELIVERED: 2,  # but it could not be stored
    Outcome.INTERRUPTED: 2,
    Outcome.LOST: 3,  # the table ends a job after its third crash
    Outcome.RATE_LIMITED: 4,
    Outcome.TIMEOUT: 1,
    Outcome.TRANSIENT: 3,
    Outcome.UNUSABLE: 1,
}
SLOT_WAIT_S = 5.0  # a longer wait gives the slot back
LONGEST_WAIT_S = 60.0  # a longer Retry-After means: not here
LONGEST_BACK_OFF_S = 32.0  # between calls to a provider that is rate limited and does not say for how long
LEAST_CALL_S = 1.0  # a call with less time than this is not worth its money

_DIFFERS: dict[str, tuple[str, ...]] = {
    "bad_model": ("provider", "model"),
    "bad_parameters": ("image_size", "quality", "model", "provider"),
}
# The most useful error of several, best first; the rest counts as "down".
_USEFUL = (
    *("content_refused", "bad_parameters", "bad_model", "provider_credits", "provider_auth", "missing_api_key"),
    *("provider_forbidden", "storage_full", "provider_rate_limited", "provider_timeout", "no_image", "bad_image"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One way to run the request."""

    provider: str
    model: str
    image_size: str
    quality: str | None
    timeout_s: float

    def rendition(self) -> Rendition:
        """Tell the knobs without the time-out."""
        return Rendition(provider=self.provider, model=self.model, image_size=self.image_size, quality=self.quality)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A job's ladder."""

    rungs: tuple[Rung, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """Make a call on a rung, for at most this long."""

    rung: int
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Again:
    """Call the same rung again, but not before `least_s`; how long exactly is the pacing's business."""

    rung: int
    timeout_s: float
    least_s: float


@dataclass(frozen=True, slots=True)
class Later:
    """Give the slot back and go on after a while."""

    wait_s: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """There is nothing left to try; `code` is the most useful error."""

    code: str


Step = Call | Again | Later | GiveUp


def plan_ladder(request: JobRequest, settings: Settings, providers: dict[str, Provider]) -> Plan:
    """Make the rungs of a request: as asked, then DARKROOM_FALLBACKS or cheaper and smaller ones."""

    def patience(name: str) -> float:
        return settings.knobs.attempt_timeout_seconds or providers[name].timeout_s

    provider = providers[settings.image.provider]
    body = settings.providers[provider.name].extra_body
    quality = body.get("quality") if isinstance(body.get("quality"), str) else None
    first = Rung(
        provider=provider.name,
        model=settings.image.model,
        image_size=request.image_size,
        quality=quality,
        timeout_s=patience(provider.name),
    )
    if settings.knobs.fallbacks is None:
        return Plan(rungs=(first, *_cheaper(first, provider)))
    own = [
        replace(
            first,
            provider=fallback.provider or first.provider,
            model=fallback.model or first.model,
            image_size=fallback.image_size or first.image_size,
            quality=fallback.quality or first.quality,
            timeout_s=fallback.timeout_seconds or patience(fallback.provider or first.provider),
        )
        for fallback in settings.knobs.fallbacks
    ]
    return Plan(rungs=(first, *own))


def _cheaper(first: Rung, provider: Provider) -> list[Rung]:
    rungs = [first]
    if provider.fast_quality and first.quality != provider.fast_quality:
        rungs.append(replace(first, quality=provider.fast_quality))
    size: str | None = first.image_size
    while size and (size := provider.smaller(size)):
        rungs.append(replace(rungs[-1], image_size=size))
    return rungs[1:]


def next_step(
    plan: Plan,
    history: Sequence[Attempt],
    left_s: float,
    *,
    retry_after_s: float | None = None,
    has_waited: bool = False,
) -> Step:
    """Decide what to do for one image.

    `history` holds this image's attempts, oldest first; `left_s` is what the job still has;
    `retry_after_s` is what the provider just asked for; `has_waited` tells that the wait which the
    last attempt asked for is over.
    """
    history = [attempt for attempt in history if attempt.outcome is not Outcome.CANCELLED]
    if left_s < LEAST_CALL_S:
        return GiveUp(most_useful([*_codes(history), "deadline_passed"]))
    if not history:
        return Call(0, _slice(plan, 0, left_s))
    last = history[-1]
    if last.outcome is Outcome.REJECTED:
        return GiveUp(last.error or "content_refused")
    wait_s = 0.0 if has_waited else _wait(history, retry_after_s)
    if _may_repeat(plan, history) and wait_s <= min(LONGEST_WAIT_S, left_s - LEAST_CALL_S):
        return Later(wait_s) if wait_s > SLOT_WAIT_S else Again(last.rung, _slice(plan, last.rung, left_s), wait_s)
    rung = _next_rung(plan, last)
    return GiveUp(most_useful(_codes(history))) if rung is None else Call(rung, _slice(plan, rung, left_s))


def _wait(history: Sequence[Attempt], retry_after_s: float | None) -> float:
    """Tell the least wait: what the provider asked for, or twice as long with each of its refusals."""
    if retry_after_s is not None or history[-1].outcome is not Outcome.RATE_LIMITED:
        return retry_after_s or 0.0
    return min(2.0 ** (len(_alike(history)) - 1), LONGEST_BACK_OFF_S)


def _may_repeat(plan: Plan, history: Sequence[Attempt]) -> bool:
    last = history[-1]
    is_lowest = last.rung == len(plan.rungs) - 1
    if last.outcome is Outcome.RATE_LIMITED and is_lowest:
        return True  # it costs only time, and the call budget bounds it
    if last.outcome is Outcome.TIMEOUT and is_lowest:
        return len(_alike(history)) < 2
    return len(_alike(history)) < TRIES[last.outcome]


def _alike(history: Sequence[Attempt]) -> list[Attempt]:
    """List the attempts on the last one's rung that ended as it did."""
    last = history[-1]
    return [attempt for attempt in history if attempt.rung == last.rung and attempt.outcome is last.outcome]


def _next_rung(plan: Plan, last: Attempt) -> int | None:
    """Find the next rung; after an unusable one only a rung that differs where it matters."""
    below = range(last.rung + 1, len(plan.rungs))
    if last.outcome is not Outcome.UNUSABLE:
        return next(iter(below), None)
    matters = _DIFFERS.get(last.error or "", ("provider",))
    here = plan.rungs[last.rung]

    def differs(rung: int) -> bool:
        return any(getattr(plan.rungs[rung], name) != getattr(here, name) for name in matters)

    return next(filter(differs, below), None)


def _slice(plan: Plan, rung: int, left_s: float) -> float:
    """Share the time that is left among this rung and those below it."""
    return min(plan.rungs[rung].timeout_s, left_s / (len(plan.rungs) - rung))


def _codes(history: Sequence[Attempt]) -> list[str]:
    return [attempt.error for attempt in history if attempt.error]


def most_useful(codes: Sequence[str]) -> str:
    """Choose the error that helps its reader most; among equals the last one."""

    def rank(code: str) -> int:
        return _USEFUL.index(code) if code in _USEFUL else len(_USEFUL)

    return min(reversed(codes), key=rank) if codes else "provider_error"
