"""Which rung next: pure decisions from a ladder, what happened so far, and the time.

A timed-out call may have been billed, so the next rung is tried; only the last rung is tried once
more. A cut-off one is repeated once. Calls that our own worker gave up say nothing about a rung.
Refused content goes nowhere else, and what has been made but cannot be fetched is not asked for again;
what was made and is lost, of this rung once more. What a provider cannot do is only asked of a rung that differs
in just that. Where nothing was made and the provider is away, the lowest rung goes on with growing pauses
as long as time and calls are left; an error that it makes of this job alone is the job's own, and ends it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from contract.errors.catalogue.configuration import MISSING_API_KEY
from contract.errors.catalogue.job_failure import DEADLINE_PASSED, STORAGE_FULL
from contract.errors.catalogue.provider import (
    ANSWER_ENCODED,
    ANSWER_TOO_LARGE,
    BAD_API_BASE,
    BAD_IMAGE,
    BAD_MODEL,
    BAD_PARAMETERS,
    CONTENT_REFUSED,
    IMAGE_REPEATED,
    IMAGE_TOO_LARGE,
    MODEL_EXCLUDED,
    NO_IMAGE,
    PROVIDER_AUTH,
    PROVIDER_BAD_ANSWER,
    PROVIDER_CREDITS,
    PROVIDER_DOWN,
    PROVIDER_ERROR,
    PROVIDER_FORBIDDEN,
    PROVIDER_INTERRUPTED,
    PROVIDER_RATE_LIMITED,
    PROVIDER_TIMEOUT,
    PROVIDER_TLS_FAILED,
    PROVIDER_TOO_DEAR,
    PROVIDER_UNREACHABLE,
    REFERENCES_NOT_TAKEN,
    RESULT_EXPIRED,
    RESULT_UNREACHABLE,
    UNSAFE_URL,
    UNSUPPORTED_IMAGE,
)
from contract.errors.catalogue.request import REFERENCE_TOO_LARGE
from contract.errors.catalogue.table import look_up
from contract.jobs.job import Attempt, Outcome
from worker.policy.circuit_breaker import Blocked
from worker.policy.ladder import Ladder, Route

# How often one rung is tried before the next, by how it failed.
TRIES = {
    Outcome.DELIVERED: 2,  # but it could not be stored
    Outcome.INTERRUPTED: 2,
    Outcome.LOST: 3,  # the table ends a job after its third crash
    Outcome.RATE_LIMITED: 4,
    Outcome.TIMEOUT: 1,
    Outcome.TRANSIENT: 3,
    Outcome.UNUSABLE: 1,
    Outcome.UNKNOWN: 1,  # of a newer version: it may have been billed
}
SLOT_WAIT_S = 5.0  # a longer wait gives the slot back
LONGEST_WAIT_S = 60.0  # a longer Retry-After means: not here
DOUBLINGS = 5  # of the first back-off, at most
LEAST_CALL_S = 1.0  # a call with less time than this is not worth its money

_ONCE_MORE = frozenset({IMAGE_REPEATED.code, REFERENCE_TOO_LARGE.code})  # then with smaller references
_DIFFERS: dict[str, tuple[str, ...]] = {
    ANSWER_TOO_LARGE.code: ("image_size", "quality", "model", "provider"),
    BAD_MODEL.code: ("provider", "model"),
    BAD_PARAMETERS.code: ("image_size", "quality", "model", "provider"),
    IMAGE_TOO_LARGE.code: ("image_size", "model", "provider"),
    MODEL_EXCLUDED.code: ("provider", "model"),
    PROVIDER_CREDITS.code: ("provider", "model"),
    PROVIDER_FORBIDDEN.code: ("provider", "model"),
    PROVIDER_TOO_DEAR.code: ("provider", "model"),
    REFERENCES_NOT_TAKEN.code: ("provider", "model"),
}
# The most useful error of several, best first; what is not here tells only that we stopped.
_USEFUL = (
    *(CONTENT_REFUSED.code, RESULT_UNREACHABLE.code),
    *(BAD_PARAMETERS.code, REFERENCE_TOO_LARGE.code, REFERENCES_NOT_TAKEN.code, MODEL_EXCLUDED.code),
    *(BAD_MODEL.code, PROVIDER_TOO_DEAR.code, PROVIDER_CREDITS.code, PROVIDER_AUTH.code),
    *(MISSING_API_KEY.code, PROVIDER_FORBIDDEN.code, PROVIDER_TLS_FAILED.code, BAD_API_BASE.code, STORAGE_FULL.code),
    *(
        PROVIDER_RATE_LIMITED.code,
        PROVIDER_TIMEOUT.code,
        NO_IMAGE.code,
        IMAGE_REPEATED.code,
        BAD_IMAGE.code,
        UNSUPPORTED_IMAGE.code,
    ),
    *(
        IMAGE_TOO_LARGE.code,
        ANSWER_TOO_LARGE.code,
        ANSWER_ENCODED.code,
        UNSAFE_URL.code,
        RESULT_EXPIRED.code,
        PROVIDER_BAD_ANSWER.code,
        PROVIDER_INTERRUPTED.code,
    ),
    *(PROVIDER_ERROR.code, PROVIDER_DOWN.code, PROVIDER_UNREACHABLE.code),
)


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
    """Give the slot back and go on after a while; `code` tells why, and is empty when a provider is only busy."""

    wait_s: float
    provider: str
    code: str = ""
    at_breaker: bool = False  # then it may be woken before


@dataclass(frozen=True, slots=True)
class GiveUp:
    """There is nothing left to try; `code` is the most useful error."""

    code: str


Step = Call | Again | Later | GiveUp


def next_step(
    ladder: Ladder,
    history: Sequence[Attempt],
    left_s: float,
    *,
    retry_after_s: float | None = None,
    has_waited: bool = False,
    blocked: Mapping[Route, Blocked] | None = None,
    falters: bool = False,
) -> Step:
    """Decide what to do for one image.

    `history` holds this image's attempts, oldest first; `left_s` is what the job still has;
    `retry_after_s` is what the provider just asked for; `has_waited` tells that the wait which the
    last attempt asked for is over; `blocked` holds the routes whose circuit breaker lets no call through
    now; `falters` tells that the provider has failed others, too.
    """
    lowest = len(ladder.rungs) - 1  # the ladder may have been another one when the job was begun
    history = [
        attempt.model_copy(update={"rung": min(attempt.rung, lowest)})
        for attempt in history
        if attempt.outcome is not Outcome.CANCELLED
    ]
    if left_s < LEAST_CALL_S:
        return GiveUp(most_useful([*_codes(history), DEADLINE_PASSED.code]))
    goes_on = has_waited or falters
    wait_s = 0.0 if has_waited else _wait(ladder, history, retry_after_s)
    step = _next(ladder, history, left_s, wait_s, goes_on=goes_on)
    if blocked and isinstance(step, Call | Again) and ladder.rungs[step.rung].route in blocked:
        return _around(ladder, history, left_s, step.rung, blocked)
    return step


def _next(ladder: Ladder, history: Sequence[Attempt], left_s: float, wait_s: float, *, goes_on: bool) -> Step:
    if not history:
        return Call(0, _slice(ladder, 0, left_s))
    last = history[-1]
    if last.outcome is Outcome.REJECTED or _is_paid(history):
        return GiveUp(last.error or CONTENT_REFUSED.code)
    if _may_repeat(ladder, history, goes_on=goes_on) and wait_s <= min(LONGEST_WAIT_S, left_s - LEAST_CALL_S):
        if wait_s > SLOT_WAIT_S:
            return Later(wait_s, last.provider, last.error or "")
        return Again(last.rung, _slice(ladder, last.rung, left_s), wait_s)
    rung = next(_below(ladder, history, last.rung), None)
    return GiveUp(most_useful(_codes(history))) if rung is None else Call(rung, _slice(ladder, rung, left_s))


def _around(
    ladder: Ladder, history: Sequence[Attempt], left_s: float, rung: int, blocked: Mapping[Route, Blocked]
) -> Step:
    """Go around a blocked route: by a lower rung at another provider, or by waiting; a busy one is waited for."""
    route = ladder.rungs[rung].route
    others = (below for below in _below(ladder, history, rung) if ladder.rungs[below].route not in blocked)
    if blocked[route].code and (other := next(others, None)) is not None:
        return Call(other, _slice(ladder, other, left_s))
    passing = {way: why for way, why in blocked.items() if not why.code or look_up(why.code).retryable}
    first = min(passing, key=lambda way: passing[way].wait_s, default=None)
    longest_s = left_s - 2 * LEAST_CALL_S  # a breaker may close before, so it is asked once more before the end
    if first is not None and longest_s > 0:
        return Later(min(passing[first].wait_s, longest_s), first[0], passing[first].code, at_breaker=True)
    codes = [*_codes(history), *(why.code for why in blocked.values() if why.code)]
    return GiveUp(most_useful([*codes, DEADLINE_PASSED.code] if passing else codes))


def _wait(ladder: Ladder, history: Sequence[Attempt], retry_after_s: float | None) -> float:
    """Tell the least wait: what the provider asked for, or twice as long with each of its refusals."""
    if retry_after_s is not None or not history:
        return retry_after_s or 0.0
    times = len(_alike(history))
    has_tried = history[-1].outcome is Outcome.TRANSIENT and times >= TRIES[Outcome.TRANSIENT]
    doubles = has_tried or history[-1].outcome is Outcome.RATE_LIMITED
    return ladder.retry_s * 2.0 ** min(times - 1, DOUBLINGS) if doubles else 0.0


def _may_repeat(ladder: Ladder, history: Sequence[Attempt], *, goes_on: bool) -> bool:
    last = history[-1]
    is_lowest = last.rung == len(ladder.rungs) - 1
    is_away = last.outcome is Outcome.TRANSIENT and (goes_on or last.error != PROVIDER_ERROR.code)
    if is_lowest and (is_away or last.outcome is Outcome.RATE_LIMITED):
        return True  # it costs only time, and the call budget bounds it
    if is_lowest and last.outcome is Outcome.TIMEOUT:
        return len(_alike(history)) < 2
    if last.error in _ONCE_MORE and (ladder.has_references or last.error != REFERENCE_TOO_LARGE.code):
        return [attempt.error for attempt in history].count(last.error) == 1
    return len(_alike(history)) < TRIES[last.outcome]


def _is_paid(history: Sequence[Attempt]) -> bool:
    """Tell whether making the image again would only be paid again: it is there, or was lost for the second time."""
    codes = _codes(history)
    is_lost_again = history[-1].error == RESULT_EXPIRED.code and codes.count(RESULT_EXPIRED.code) > 1
    return history[-1].error == RESULT_UNREACHABLE.code or is_lost_again


def _alike(history: Sequence[Attempt]) -> list[Attempt]:
    """List the attempts on the last one's rung that ended as it did."""
    last = history[-1]
    return [attempt for attempt in history if attempt.rung == last.rung and attempt.outcome is last.outcome]


def _below(ladder: Ladder, history: Sequence[Attempt], rung: int) -> Iterator[int]:
    """Yield the lower rungs; what some provider cannot do is only asked where that differs."""
    cannot = [attempt for attempt in history if attempt.outcome is Outcome.UNUSABLE]
    cannot = [attempt for attempt in cannot if attempt.error != REFERENCE_TOO_LARGE.code or attempt is history[-1]]

    def differs(below: int, attempt: Attempt) -> bool:
        matters = _DIFFERS.get(attempt.error or "", ("provider",))
        return any(getattr(ladder.rungs[below], name) != getattr(attempt, name) for name in matters)

    return (below for below in range(rung + 1, len(ladder.rungs)) if all(differs(below, attempt) for attempt in cannot))


def _slice(ladder: Ladder, rung: int, left_s: float) -> float:
    """Share the time that is left among this rung and those below it."""
    return min(ladder.rungs[rung].timeout_s, max(LEAST_CALL_S, left_s / (len(ladder.rungs) - rung)))


def _codes(history: Sequence[Attempt]) -> list[str]:
    return [attempt.error for attempt in history if attempt.error]


def most_useful(codes: Sequence[str]) -> str:
    """Choose the error that helps its reader most; among equals the last one."""

    def rank(code: str) -> int:
        return _USEFUL.index(code) if code in _USEFUL else len(_USEFUL)

    return min(reversed(codes), key=rank) if codes else PROVIDER_ERROR.code
