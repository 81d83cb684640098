"""How repeats are paced: the one place that uses tenacity. Whether to repeat is the ladder's business."""

from __future__ import annotations

from typing import Any

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    retry_if_exception_type,
    retry_if_result,
    stop_after_delay,
    stop_before_delay,
    wait_random,
    wait_random_exponential,
)

from contract.errors import RateLimited, Transient, Unavailable
from worker.ladder import SLOT_WAIT_S, Again

GONE = 3  # looks at what is not there
_MAY_PASS = frozenset({"provider_interrupted", "provider_timeout", "result_expired"})  # of a poll or a download


def pacing(base_s: float) -> AsyncRetrying:
    """Repeat a call while the ladder says `Again`: full jitter from `base_s`, and never before it allows."""
    jitter = wait_random_exponential(multiplier=base_s, max=SLOT_WAIT_S)

    def wait(state: RetryCallState) -> float:
        step: Any = state.outcome.result() if state.outcome else None
        return max(jitter(state), step.least_s if isinstance(step, Again) else 0.0)

    return AsyncRetrying(retry=retry_if_result(lambda step: isinstance(step, Again)), wait=wait)


def fetching(base_s: float, *, left_s: float, tries: int) -> AsyncRetrying:
    """Repeat what costs nothing: looking for a picture that is being made, or downloading it."""
    jitter = wait_random(base_s / 2, 2 * base_s)

    def may_pass(error: BaseException) -> bool:
        return isinstance(error, Transient | RateLimited) or getattr(error, "code", "") in _MAY_PASS

    def wait(state: RetryCallState) -> float:
        error: Any = state.outcome.exception() if state.outcome else None
        return max(jitter(state), error.retry_after_s or 0.0)

    is_time = stop_before_delay(max(0.0, left_s))

    def stop(state: RetryCallState) -> bool:
        error: Any = state.outcome.exception() if state.outcome else None
        most = min(tries, GONE) if error.code == "result_expired" else tries
        return state.attempt_number >= most or is_time(state)

    return AsyncRetrying(
        retry=retry_if_exception(may_pass),
        wait=wait,
        stop=stop,
        reraise=True,
    )


def until_reachable() -> AsyncRetrying:
    """Repeat a write of the job table until Redis is back; the fence keeps it harmless."""
    return AsyncRetrying(
        retry=retry_if_exception_type(Unavailable),
        wait=wait_random(0.2, 0.6),
        stop=stop_after_delay(300),
        reraise=True,
    )
