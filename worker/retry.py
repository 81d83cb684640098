"""How repeats are paced: the one place that uses tenacity. Whether to repeat is the ladder's business."""

from __future__ import annotations

from typing import Any

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    retry_if_result,
    stop_after_attempt,
    stop_after_delay,
    wait_random,
    wait_random_exponential,
)

from contract.errors import Interrupted, RateLimited, Transient, Unavailable
from worker.ladder import SLOT_WAIT_S, Again


def pacing(base_s: float) -> AsyncRetrying:
    """Repeat a call while the ladder says `Again`: full jitter from `base_s`, and never before it allows."""
    jitter = wait_random_exponential(multiplier=base_s, max=SLOT_WAIT_S)

    def wait(state: RetryCallState) -> float:
        step: Any = state.outcome.result() if state.outcome else None
        return max(jitter(state), step.least_s if isinstance(step, Again) else 0.0)

    return AsyncRetrying(retry=retry_if_result(lambda step: isinstance(step, Again)), wait=wait)


def fetching() -> AsyncRetrying:
    """Repeat what costs nothing: looking for a picture that is already made, or downloading it."""
    return AsyncRetrying(
        retry=retry_if_exception_type((Transient, RateLimited, Interrupted)),
        wait=wait_random(0.5, 2),
        stop=stop_after_attempt(3),
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
