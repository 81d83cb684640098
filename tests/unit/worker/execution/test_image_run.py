"""One image's walk: what the gate hears of a call that has failed, by how long its provider was waited for."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from contract.errors.exceptions import Interrupted, ProviderError, TimedOut, Unusable
from contract.errors.provider_catalogue import BAD_MODEL, PROVIDER_AUTH, PROVIDER_INTERRUPTED, PROVIDER_TIMEOUT
from contract.jobs.job import Attempt
from contract.jobs.request import JobRequest
from contract.store.lease import Lease
from contract.store.worker_store import WorkerStore
from tests.support.factories.ladders import rung
from worker.execution.attempt_log import AttemptLog
from worker.execution.context import JobContext
from worker.execution.image_run import ImageRun
from worker.execution.leases import Leases
from worker.http.pending_result import CallProgress, GeneratedImage
from worker.http.provider_client import ProviderClient
from worker.memory.budget import Budget, Share
from worker.policy.circuit_breaker import Blocked, CallOutcome, CircuitBreaker
from worker.policy.ladder import Ladder
from worker.policy.retry_policy import GiveUp
from worker.providers.provider import ImageCall


class Turnstile(CircuitBreaker):
    """Lets every call in, and keeps what is said when it leaves."""

    def __init__(self) -> None:
        self.heard: set[tuple[CallOutcome, str]] = set()

    async def enter(self, lease: Lease, number: int, *, most_s: float) -> Blocked | None:
        return None

    async def leave(self, lease: Lease, number: int, verdict: CallOutcome, *, code: str = "", **told: object) -> bool:
        self.heard.add((verdict, code))
        return False


class Failing(ProviderClient):
    """Fails every call in the same way, and takes no time for it."""

    def __init__(self, error: ProviderError) -> None:
        self._error = error

    async def make(
        self,
        ask: ImageCall,
        *,
        share: Share,
        begin_s: float,
        whole_s: float,
        request_id: str,
        fetch_s: float | None = None,
        heard: CallProgress | None = None,
    ) -> GeneratedImage:
        raise self._error


class Blank(WorkerStore):
    """A table that takes everything and keeps nothing."""

    def __init__(self) -> None:
        pass

    async def begin_attempt(self, lease: Lease, number: int, attempt: Attempt, *, max_calls: int) -> None:
        pass

    async def end_attempt(self, *args: object, **kwargs: object) -> None:
        pass


class Hanging(Failing):
    """Never answers its first call, and fails the others."""

    calls = 0

    async def make(self, *args: Any, **kwargs: Any) -> GeneratedImage:
        self.calls += 1
        if self.calls == 1:
            await asyncio.Event().wait()
        raise self._error


def desk_of(talk: ProviderClient, plan: Ladder, *, left_s: float = 600, count: int = 1) -> JobContext:
    """Lay out a job."""
    lease = Lease(job_id="7", fence=1, deadline_ms=int(1000 * left_s), fields={}, claimed_ms=0)
    request = JobRequest(prompt="a fox", aspect_ratio="1:1", image_size="4K", count=count)
    bench: Any = SimpleNamespace(
        leases=Leases(Blank(), worker="w", lease_s=15), wire=SimpleNamespace(budget=Budget(2**20))
    )
    job: Any = SimpleNamespace(id="7", request=request)
    return JobContext(
        bench=bench,
        lease=lease,
        job=job,
        snapshots=(),
        plan=plan,
        attempt_log=AttemptLog(lease, Blank(), {}, max_calls=9),
        clients={"openrouter": talk},
        breakers={plan.rungs[0].route: Turnstile()},
    )


async def heard(error: ProviderError, plan: Ladder, left_s: float = 600) -> set[tuple[CallOutcome, str]]:
    """Walk down a ladder on which every call fails; tell what the gate hears of it."""
    desk = desk_of(Failing(error), plan, left_s=left_s)
    assert await ImageRun(0, desk).make() == GiveUp(error.code)
    [gate] = desk.breakers.values()
    assert isinstance(gate, Turnstile)
    return gate.heard


@pytest.mark.parametrize(
    ("timeout_s", "left_s", "verdict"),
    [
        (120, 600, CallOutcome.BAD),
        (60, 600, CallOutcome.BAD),
        (59, 600, CallOutcome.UNKNOWN),
        (1, 600, CallOutcome.UNKNOWN),
        (120, 61, CallOutcome.BAD),
        (120, 59, CallOutcome.UNKNOWN),
    ],
)
async def test_a_time_out_after_less_than_half_of_the_operators_patience_says_nothing(
    timeout_s: float, left_s: float, verdict: CallOutcome
) -> None:
    plan = Ladder(rungs=(rung(timeout_s=timeout_s, patience_s=120),), retry_s=0.001)
    assert await heard(TimedOut(PROVIDER_TIMEOUT), plan, left_s) == {(verdict, "provider_timeout")}


async def test_a_share_of_the_time_that_is_a_little_short_of_the_patience_says_enough() -> None:
    first = rung(timeout_s=300, patience_s=300)
    plan = Ladder(rungs=(first, rung(timeout_s=300, patience_s=300, quality="low")), retry_s=0.001)
    assert await heard(TimedOut(PROVIDER_TIMEOUT), plan, 599.9) == {(CallOutcome.BAD, "provider_timeout")}


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (Interrupted(PROVIDER_INTERRUPTED), CallOutcome.BAD),
        (Unusable(PROVIDER_AUTH, http_status=401), CallOutcome.KEY),
    ],
    ids=["cut off", "key"],
)
async def test_what_a_provider_has_said_counts_however_soon_it_came(error: ProviderError, verdict: CallOutcome) -> None:
    plan = Ladder(rungs=(rung(timeout_s=1, patience_s=120),), retry_s=0.001)
    assert await heard(error, plan) == {(verdict, error.code)}


async def test_images_wait_for_anothers_call_no_longer_than_a_call_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.execution.image_run.ARRIVING_S", 0.0)
    first = rung(timeout_s=0.3, patience_s=0.3)
    talk = Hanging(Unusable(BAD_MODEL, http_status=404))
    desk = desk_of(talk, Ladder(rungs=(first,)), count=3)
    desk.yields.known = {first.route: 3}
    walks = [asyncio.create_task(ImageRun(index, desk).make()) for index in range(3)]
    while talk.calls < 1:
        await asyncio.sleep(0)
    assert [talk.calls, desk.is_due()] == [1, True]
    assert await asyncio.gather(*walks[1:]) == [GiveUp("bad_model")] * 2
    assert [talk.calls, walks[0].done()] == [3, False]
    walks[0].cancel()
    await asyncio.wait(walks)


@pytest.mark.parametrize("known", [{}, {rung().route: 1}, {("openrouter", "another"): 4}])
async def test_nobody_waits_for_a_model_that_brings_one_picture(known: dict[tuple[str, str], int]) -> None:
    desk = desk_of(Failing(Unusable(BAD_MODEL)), Ladder(rungs=(rung(),)), count=4)
    desk.yields.known = dict(known)
    with desk.calls(0, rung().route), desk.calls(1, rung().route), desk.calls(2, rung().route):
        assert not desk.is_due()
