"""One call's place among those that a circuit breaker lets through at a time."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress

from contract.errors.catalogue.provider import PROVIDER_ERROR
from contract.errors.exceptions import Unavailable
from contract.store.lease import Lease
from worker.answers.errors import ProviderError
from worker.execution.attempt_log import AttemptLog, persist
from worker.policy.circuit_breaker import Blocked, CallOutcome, CircuitBreaker, outcome_of

LEAVE_S = 12.0  # time for two answers that are lost
HURRIED_S = 5.0  # once the job is given up, whose lease ends the place as well


class BreakerPlace:
    """Taken before a call and given back after it, with what the call says about its provider."""

    def __init__(self, breaker: CircuitBreaker, lease: Lease, index: int, attempts: AttemptLog) -> None:
        self._breaker = breaker
        self._lease = lease
        self._name = secrets.randbelow(
            10**9
        )  # by it a repeat is known: a place that an earlier call left is another one
        self._index = index
        self._is_left = False
        self._attempts = attempts
        self._outcome = CallOutcome.UNKNOWN
        self._code = ""

    async def take(self) -> Blocked | None:
        """Ask whether a call may be made now: None is yes. Raises LeaseLost, Unavailable.

        A place is also given back if it is not known whether it was taken.
        """
        left_s = self._lease.left_s()  # an answer may have to wait for memory
        try:
            return await persist(self._breaker.enter, self._lease, self._name, most_s=left_s)
        except (Unavailable, asyncio.CancelledError):
            await self.give_back()
            raise

    def succeeded(self) -> None:
        """Note that the provider has answered well."""
        self._outcome = CallOutcome.GOOD

    def failed(self, error: ProviderError, *, is_hasty: bool) -> None:
        """Note how the call failed; one that was given less time than usual says nothing about its provider."""
        self._outcome, self._code = CallOutcome.UNKNOWN if is_hasty else outcome_of(error), error.code

    async def give_back(self) -> bool:
        """Give the place back, unless that has been done; answer whether the provider fails others, too."""
        if self._is_left:
            return False
        outcome, history = self._outcome, self._attempts.history(self._index)
        has_passed = outcome is CallOutcome.GOOD and any(attempt.error == PROVIDER_ERROR.code for attempt in history)
        since_ms = history[0].started_at.timestamp() * 1000 if history else self._lease.now_ms()
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(
                HURRIED_S if _is_cancelled() else LEAVE_S
            ):  # a place that was not given back is dropped with the job's lease
                falters = await persist(
                    self._breaker.leave,
                    self._lease,
                    self._name,
                    outcome,
                    code=self._code,
                    since_ms=since_ms,
                    has_passed=has_passed,
                )
                self._is_left = True
                return falters
        return False


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
