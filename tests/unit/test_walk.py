"""One image's walk: what the gate hears of a call that has failed, by how long its provider was waited for."""

from types import SimpleNamespace
from typing import Any

import pytest
from ladders import rung

from contract.errors import Interrupted, ProviderError, TimedOut, Unusable
from contract.job import Attempt
from contract.request import JobRequest
from contract.store import JobStore, Lease
from worker.bench import Desk
from worker.budget import Budget, Share
from worker.gate import Closed, Gate, Verdict
from worker.ladder import GiveUp
from worker.leases import Leases
from worker.logbook import Logbook
from worker.plan import Plan
from worker.providers.http import Conversation
from worker.providers.provider import Ask
from worker.providers.results import Made
from worker.walk import Walk


class Turnstile(Gate):
    """Lets every call in, and keeps what is said when it leaves."""

    def __init__(self) -> None:
        self.heard: set[tuple[Verdict, str]] = set()

    async def enter(self, lease: Lease, number: int, *, most_s: float) -> Closed | None:
        return None

    async def leave(self, lease: Lease, number: int, verdict: Verdict, *, code: str = "", **told: object) -> bool:
        self.heard.add((verdict, code))
        return False


class Failing(Conversation):
    """Fails every call in the same way, and takes no time for it."""

    def __init__(self, error: ProviderError) -> None:
        self._error = error

    async def make(
        self, ask: Ask, *, share: Share, begin_s: float, whole_s: float, request_id: str, fetch_s: float | None = None
    ) -> Made:
        raise self._error


class Blank(JobStore):
    """A table that takes everything and keeps nothing."""

    def __init__(self) -> None:
        pass

    async def begin_attempt(self, lease: Lease, number: int, attempt: Attempt, *, max_calls: int) -> None:
        pass

    async def end_attempt(self, *args: object, **kwargs: object) -> None:
        pass


async def heard(error: ProviderError, plan: Plan, left_s: float = 600) -> set[tuple[Verdict, str]]:
    """Walk down a ladder on which every call fails; tell what the gate hears of it."""
    lease = Lease(job_id="7", fence=1, deadline_ms=int(1000 * left_s), fields={}, claimed_ms=0)
    request = JobRequest(prompt="a fox", aspect_ratio="1:1", image_size="4K")
    bench: Any = SimpleNamespace(
        leases=Leases(Blank(), worker="w", lease_s=15), wire=SimpleNamespace(budget=Budget(2**20))
    )
    job: Any = SimpleNamespace(id="7", request=request)
    desk = Desk(
        bench=bench,
        lease=lease,
        job=job,
        snapshots=(),
        plan=plan,
        logbook=Logbook(lease, Blank(), {}, max_calls=9),
        talks={"openrouter": Failing(error)},
        gates={plan.rungs[0].route: (gate := Turnstile())},
    )
    assert await Walk(0, desk).make() == GiveUp(error.code)
    return gate.heard


@pytest.mark.parametrize(
    ("timeout_s", "left_s", "verdict"),
    [
        (120, 600, Verdict.BAD),
        (60, 600, Verdict.BAD),
        (59, 600, Verdict.UNKNOWN),
        (1, 600, Verdict.UNKNOWN),
        (120, 61, Verdict.BAD),
        (120, 59, Verdict.UNKNOWN),
    ],
)
async def test_a_time_out_after_less_than_half_of_the_operators_patience_says_nothing(
    timeout_s: float, left_s: float, verdict: Verdict
) -> None:
    plan = Plan(rungs=(rung(timeout_s=timeout_s, patience_s=120),), retry_s=0.001)
    assert await heard(TimedOut("provider_timeout"), plan, left_s) == {(verdict, "provider_timeout")}


async def test_a_share_of_the_time_that_is_a_little_short_of_the_patience_says_enough() -> None:
    first = rung(timeout_s=300, patience_s=300)
    plan = Plan(rungs=(first, rung(timeout_s=300, patience_s=300, quality="low")), retry_s=0.001)
    assert await heard(TimedOut("provider_timeout"), plan, 599.9) == {(Verdict.BAD, "provider_timeout")}


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (Interrupted("provider_interrupted"), Verdict.BAD),
        (Unusable("provider_auth", http_status=401), Verdict.KEY),
    ],
    ids=["cut off", "key"],
)
async def test_what_a_provider_has_said_counts_however_soon_it_came(error: ProviderError, verdict: Verdict) -> None:
    plan = Plan(rungs=(rung(timeout_s=1, patience_s=120),), retry_s=0.001)
    assert await heard(error, plan) == {(verdict, error.code)}
