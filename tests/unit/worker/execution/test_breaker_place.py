"""A call's place at the circuit breaker: what is told of the call when the place is given back."""

from __future__ import annotations

import asyncio

import pytest

from contract.errors.catalogue.provider import PROVIDER_DOWN, PROVIDER_TIMEOUT
from contract.errors.exceptions import Unavailable
from contract.jobs.job import Attempt, Outcome
from contract.store.lease import Lease
from contract.store.worker_store import WorkerStore
from tests.support.factories.ladders import attempts
from worker.answers.errors import TimedOut, Transient
from worker.execution import breaker_place
from worker.execution.attempt_log import AttemptLog
from worker.execution.breaker_place import BreakerPlace
from worker.policy.circuit_breaker import Blocked, CallOutcome, CircuitBreaker

LEASE = Lease(job_id="7", fence=1, deadline_ms=600_000, fields={}, claimed_ms=0)


class Told(CircuitBreaker):
    """Keeps what it is told, and fails with an error if it has one."""

    def __init__(self, error: Exception | None = None) -> None:
        self.told: list[tuple[CallOutcome, str, bool]] = []
        self._error = error

    async def leave(
        self,
        lease: Lease,
        number: int,
        outcome: CallOutcome,
        *,
        code: str = "",
        since_ms: float = 0,
        has_passed: bool = False,
    ) -> bool:
        if self._error:
            raise self._error
        self.told.append((outcome, code, has_passed))
        return True


class Nowhere(WorkerStore):
    """A table that is never asked."""

    def __init__(self) -> None:
        pass


def place(breaker: CircuitBreaker, *history: Attempt) -> BreakerPlace:
    log = AttemptLog(LEASE, Nowhere(), dict(enumerate(history)), max_calls=9)
    return BreakerPlace(breaker, LEASE, 0, log)


async def test_a_call_that_was_given_up_says_nothing() -> None:
    breaker = Told()
    assert await place(breaker).give_back() is True
    assert breaker.told == [(CallOutcome.UNKNOWN, "", False)]


@pytest.mark.parametrize(("error", "has_passed"), [("provider_error", True), ("provider_down", False)])
async def test_a_success_after_an_error_tells_that_the_provider_falters(error: str, has_passed: bool) -> None:
    breaker = Told()
    taken = place(breaker, *attempts(Outcome.TRANSIENT, error=error))
    taken.succeeded()
    await taken.give_back()
    assert breaker.told == [(CallOutcome.GOOD, "", has_passed)]


@pytest.mark.parametrize(
    ("error", "is_hasty", "outcome"),
    [
        (Transient(PROVIDER_DOWN), False, CallOutcome.BAD),
        (TimedOut(PROVIDER_TIMEOUT), False, CallOutcome.BAD),
        (TimedOut(PROVIDER_TIMEOUT), True, CallOutcome.UNKNOWN),
    ],
    ids=["down", "time-out", "hasty time-out"],
)
async def test_a_failure_is_told_with_its_code(
    error: Transient | TimedOut, is_hasty: bool, outcome: CallOutcome
) -> None:
    breaker = Told()
    taken = place(breaker)
    taken.failed(error, is_hasty=is_hasty)
    await taken.give_back()
    assert breaker.told == [(outcome, error.code, False)]


@pytest.mark.parametrize("error", [Unavailable(), TimeoutError()], ids=["away", "slow"])
async def test_without_redis_the_place_is_left_to_end_with_the_lease(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker_place, "LEAVE_S", 0.05)
    assert await place(Told(error)).give_back() is False


class Mute(Told):
    """Takes a call in, and never says so."""

    def __init__(self) -> None:
        super().__init__()
        self.is_asked = asyncio.Event()
        self.names: list[int] = []

    async def enter(self, lease: Lease, number: int, *, most_s: float) -> Blocked | None:
        self.names.append(number)
        self.is_asked.set()
        await asyncio.Event().wait()
        return None

    async def leave(self, lease: Lease, number: int, outcome: CallOutcome, **told: object) -> bool:
        self.names.append(number)
        return await super().leave(lease, number, outcome)


async def test_a_place_of_which_nobody_knows_whether_it_was_taken_is_given_back() -> None:
    breaker = Mute()
    taking = asyncio.create_task(place(breaker).take())
    await breaker.is_asked.wait()
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    taken, left = breaker.names
    assert taken == left


class Losing(Told):
    """Loses its first answer."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[int] = []

    async def leave(self, lease: Lease, number: int, outcome: CallOutcome, **told: object) -> bool:
        self.names.append(number)
        if len(self.names) == 1:
            raise Unavailable
        return await super().leave(lease, number, outcome)


async def test_what_the_breaker_knows_of_others_is_asked_for_again_and_then_no_more() -> None:
    breaker = Losing()
    taken = place(breaker)
    assert await taken.give_back() is True
    assert await taken.give_back() is False
    assert len(breaker.names) == 2
    assert len(set(breaker.names)) == 1


async def test_each_call_has_a_place_of_its_own() -> None:
    breaker = Losing()
    for _ in range(3):
        await place(breaker).give_back()
    assert len(set(breaker.names)) == 3
