"""How repeats are paced: the one place that uses tenacity. Whether to repeat is the ladder's business."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from random import SystemRandom
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

from contract.errors.catalogue.provider import (
    BAD_IMAGE,
    PROVIDER_BAD_ANSWER,
    PROVIDER_INTERRUPTED,
    PROVIDER_TIMEOUT,
    RESULT_EXPIRED,
)
from contract.errors.exceptions import Unavailable
from worker.answers.errors import ProviderError, RateLimited, Transient
from worker.policy.retry_policy import LONGEST_WAIT_S, SLOT_WAIT_S, Again

PATIENCE = 5.0  # the longest pause between two looks at what is made, in first pauses
_MAY_PASS = frozenset(
    {PROVIDER_INTERRUPTED.code, PROVIDER_TIMEOUT.code, PROVIDER_BAD_ANSWER.code}
)  # of a poll or a download
_FEW = {RESULT_EXPIRED.code: 3, BAD_IMAGE.code: 2}  # looks at what will hardly change
STOPPING_TRIES = 3  # of a write while the worker stops
_spread = SystemRandom()


def pacing(base_s: float) -> AsyncRetrying:
    """Repeat a call while the ladder says `Again`: full jitter from `base_s`, and never before it allows."""
    jitter = wait_random_exponential(multiplier=base_s, max=SLOT_WAIT_S)

    def wait(state: RetryCallState) -> float:
        step: Any = state.outcome.result() if state.outcome else None
        return max(jitter(state), step.least_s if isinstance(step, Again) else 0.0)

    return AsyncRetrying(retry=retry_if_result(lambda step: isinstance(step, Again)), wait=wait)


def fetching(
    base_s: float, *, left_s: float, noticed: Callable[[RetryCallState], Awaitable[None]] | None = None
) -> AsyncRetrying:
    """Repeat what costs nothing, for `left_s`: looking for a picture that is being made, or downloading it."""
    is_time = stop_before_delay(max(0.0, left_s))
    times: Counter[str] = Counter()

    def wait(state: RetryCallState) -> float:
        error: Any = state.outcome.exception() if state.outcome else None
        pause_s = base_s * min(1.5 ** min(state.attempt_number - 1, 9), PATIENCE)
        return max(_spread.uniform(pause_s / 2, pause_s), min(error.retry_after_s or 0.0, LONGEST_WAIT_S))

    def stop(state: RetryCallState) -> bool:
        error: Any = state.outcome.exception() if state.outcome else None
        times[error.code] += 1
        return times[error.code] == _FEW.get(error.code) or is_time(state)

    return AsyncRetrying(
        retry=retry_if_exception(may_pass),
        wait=wait,
        stop=stop,
        before_sleep=noticed,
        reraise=True,
    )


def may_pass(error: BaseException) -> bool:
    """Tell whether what failed so may be there at the next look."""
    code = getattr(error, "code", "")
    return isinstance(error, Transient | RateLimited) or code in _MAY_PASS or code in _FEW


def is_settled(error: ProviderError) -> bool:
    """Tell whether looking again cannot help: more time would not have brought what failed with this error."""
    return not may_pass(error) or error.code in _FEW


def until_reachable(*, is_stopping: Callable[[], bool] = lambda: False) -> AsyncRetrying:
    """Repeat a write of the job table until Redis is back; each script knows a repeat, so it is harmless.

    Once the worker is stopping, nothing is tried more than so many times.
    """
    too_long = stop_after_delay(300)
    return AsyncRetrying(
        retry=retry_if_exception_type(Unavailable),
        wait=wait_random(0.2, 0.6),
        stop=lambda state: too_long(state) or (is_stopping() and state.attempt_number >= STOPPING_TRIES),
        reraise=True,
    )
