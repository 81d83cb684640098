"""The workers' half of the machine: claims, calls, images, gates, crashes and zombies, beside a model of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Coroutine, Iterator
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from contract.jobs.job import JobState, Outcome
from contract.store.lease import Lease
from tests.support.factories.jobs import COUNT, attempt, image
from tests.support.model.model import LEASE_MS, MOST_ACTIVE, MOST_CALLS
from tests.support.model.queue_machine import LEASE_S, SECONDS, WHICH, WORKERS, QueueMachine
from tests.support.model.table import JobTable
from worker.policy.circuit_breaker import Blocked, CallOutcome

HANGING_MS = 120_000  # past its deadline a job is given up, although its worker renews
NUMBERS = st.integers(0, MOST_CALLS)
INDEXES = st.integers(0, COUNT - 1)
WAITS = st.sampled_from([0, 30_000, 120_000])
VERDICTS = st.sampled_from(CallOutcome)
ENDS = st.sampled_from([JobState.SUCCEEDED, JobState.FAILED, JobState.EXPIRED])
holding = precondition(lambda self: self.held())
queued = precondition(lambda self: any(job.state is JobState.QUEUED for job in self.model.jobs.values()))


class JobMachine(QueueMachine):
    """Workers with leases, old and new ones, that do with them whatever the store lets them."""

    def __init__(self, table: JobTable, tally: Counter[str]) -> None:
        super().__init__(table, tally)
        self.leases: list[Lease] = []

    def held(self) -> list[Lease]:
        """All leases that hold their job."""
        return [lease for lease in self.leases if self.model.held(lease.job_id, lease.fence)]

    def zombies(self) -> list[Lease]:
        """All leases that hold nothing any more."""
        return [lease for lease in self.leases if not self.model.held(lease.job_id, lease.fence)]

    def lease(self, which: int) -> Lease:
        """Find a lease: those that hold their job come first, then old ones."""
        return [*self.held(), *self.zombies()][which % len(self.leases)]

    @initialize(run_s=st.lists(SECONDS, min_size=1, max_size=MOST_ACTIVE), claims=st.integers(0, 3))
    def begin(self, run_s: list[int], claims: int) -> None:
        """Begin with some jobs, some of them running; each of so many steps is to miss answers of Redis."""
        for number, seconds in enumerate(run_s):
            self.submit("ann", None, "a fox", 7200, seconds, 0, 0.0 if number else 0.07)
        for _ in range(claims):
            self.claim(0, "w1")
        self.lossy = (len(run_s) + claims) % 5  # nothing is drawn for it: the steps stay what they were

    # Leases

    @queued
    @rule(which=WHICH, worker=WORKERS, is_repeated=st.booleans())
    def claim(self, which: int, worker: str, is_repeated: bool = False) -> None:
        """Claim a job, whatever its state: bells come twice, and late, and answers get lost."""
        lease = self.take(self.job(which), worker)
        if lease:
            self.leases.append(lease)
        if lease and is_repeated:
            assert self._claim_again(lease) == [lease.fence]

    def _claim_again(self, lease: Lease) -> object:
        answer = self.ask(self.store._run("jobs/claim", lease.job_id, "w1", LEASE_MS, lease.fields["claim"]))
        assert isinstance(answer, list)
        return answer[:1]

    @precondition(lambda self: self.seen.bells())
    @rule(which=WHICH, worker=WORKERS, is_lost=st.booleans())
    def answer_bell(self, which: int, worker: str, is_lost: bool) -> None:
        """Take a bell and claim its job, or die with the bell in the hand."""
        job_id = self.take_bell(which)
        if not is_lost and (lease := self.take(job_id, worker)):
            self.leases.append(lease)

    @holding
    @rule(which=st.lists(WHICH, max_size=3, unique=True))
    def renew(self, which: list[int]) -> None:
        """Renew leases, old ones among them."""
        self._renew([self.lease(place) for place in which])

    def _renew(self, holds: list[Lease]) -> None:
        lost = []
        for lease in holds:
            job = self.model.held(lease.job_id, lease.fence)
            if job and job.deadline + HANGING_MS > self.model.now:
                job.lease_until = self.model.now + LEASE_MS
            else:
                lost.append(lease.job_id)
        assert self.ask(self.store.renew("w1", holds, lease_s=LEASE_S)) == lost

    @holding
    @rule(which=WHICH)
    def crash(self, which: int) -> None:
        """A worker is never heard of again, until it comes back as a zombie; all others renew their leases."""
        dead = self.lease(which)
        others = [lease for lease in self.leases if lease != dead]
        for _ in range(LEASE_MS // 5_000):
            self.pass_time(5_000)
            self._renew(others)
            self.sweep("w1", 5_000)
        self.is_still = False

    @precondition(lambda self: self.zombies())
    @rule(which=WHICH)
    def write_as_zombie(self, which: int) -> None:
        """Write whatever can be written with an old lease: all is refused, and nothing changes."""
        lease = self.zombies()[-1 - which % len(self.zombies())]
        assert {self.ask(write) for write in self._writes(lease)} == {"lost"}
        job = self.model.jobs.get(lease.job_id)
        if not job or job.state is not JobState.QUEUED:
            assert self._claim_again(lease) == []
            self.is_still = True

    def _writes(self, lease: Lease) -> Iterator[Coroutine[Any, Any, object]]:
        yield self.store.begin_attempt(lease, 0, attempt(), max_calls=9)
        yield self.store.end_attempt(lease, 0, attempt(Outcome.DELIVERED), event="retry", text="again")
        yield self.store.add_image(lease, image(lease.job_id, 0))
        yield self.store.end(lease, JobState.SUCCEEDED)
        yield self.store.release(lease)
        yield self.gate.enter(lease, 0, most_s=20)

    # Calls and images

    @holding
    @rule(which=WHICH, numbers=st.lists(NUMBERS, min_size=1, max_size=4))
    def begin_attempts(self, which: int, numbers: list[int]) -> None:
        """Count calls: new ones, the same again, or one too many."""
        lease, call = self.lease(which), attempt()
        for number in numbers:
            answer = self.ask(self.store.begin_attempt(lease, number, call, max_calls=MOST_CALLS))
            assert answer == self.model.begin(lease.job_id, lease.fence, number, call)
        self.is_still = False

    @holding
    @rule(
        which=WHICH, number=NUMBERS, outcome=st.sampled_from(Outcome), cost_usd=st.sampled_from([None, 0.0, 0.01, 0.3])
    )
    def end_attempt(self, which: int, number: int, outcome: Outcome, cost_usd: float | None) -> None:
        """Write how a call ended that was begun, by now at least."""
        lease = self.lease(which)
        self.begin_attempts(which, [number])
        job, ended = self.model.held(lease.job_id, lease.fence), attempt(outcome, cost_usd)
        if job and not job.attempts:
            return
        number = sorted(job.attempts)[number % len(job.attempts)] if job else number
        answer = self.ask(self.store.end_attempt(lease, number, ended, event="retry", text="again"))
        assert answer == (None if job else "lost")
        if job:
            self.model.end_call(job, number, ended)

    @holding
    @rule(which=WHICH, index=INDEXES)
    def add_image(self, which: int, index: int) -> None:
        """Add an image, perhaps once more."""
        lease = self.lease(which)
        made = image(lease.job_id, index)
        job = self.model.held(lease.job_id, lease.fence)
        answer = self.ask(self.store.add_image(lease, made))
        assert answer == (None if job else "lost")
        if job:
            self.is_still = index in job.images
            job.images.setdefault(index, made.model_dump_json())

    @holding
    @rule(which=WHICH, state=ENDS)
    def end(self, which: int, state: JobState) -> None:
        """End a job."""
        self.finish(self.lease(which), state)

    @holding
    @rule(which=WHICH, wait_ms=WAITS, at_breaker=st.booleans())
    def release(self, which: int, wait_ms: int, at_breaker: bool) -> None:
        """Give a slot back, to wait for nothing, for a time, or for a gate."""
        self._release(self.lease(which), wait_ms, at_breaker=at_breaker)

    def _release(self, lease: Lease, wait_ms: int, *, at_breaker: bool) -> None:
        answer = self.ask(self.store.release(lease, wait_s=wait_ms / 1000, at_breaker=at_breaker))
        assert answer == self.model.release(lease.job_id, lease.fence, wait_ms, at_breaker=at_breaker)

    # The gate

    @holding
    @rule(which=st.lists(WHICH, min_size=1, max_size=3, unique=True), verdict=st.none() | VERDICTS, wait_ms=WAITS)
    def enter_gate(self, which: list[int], verdict: CallOutcome | None, wait_ms: int) -> None:
        """Ask the gate; whoever was let in may leave it, and then those that were refused may give their slots back."""
        refused = []
        for lease in [self.lease(place) for place in which]:
            answer = self.ask(self.gate.enter(lease, 0, most_s=20))
            assert (answer == "lost") == (self.model.held(lease.job_id, lease.fence) is None)
            refused += [lease] * isinstance(answer, Blocked)
            self._hear_gate()
        if verdict:
            self._leave_gate(verdict)
        for lease in refused if wait_ms else ():
            self._release(lease, wait_ms, at_breaker=True)
        self.is_still = False

    @precondition(lambda self: self.seen.scores(f"gate:{self.gate.name}:calls"))
    @rule(verdict=VERDICTS, is_repeated=st.booleans())
    def leave_gate(self, verdict: CallOutcome, is_repeated: bool) -> None:
        """Leave the gate, also without a lease; it may wake jobs that wait for it."""
        lease = self._leave_gate(verdict)
        if lease and is_repeated:
            self.ask(self.gate.leave(lease, 0, verdict, code="provider_down"))

    def _leave_gate(self, verdict: CallOutcome) -> Lease | None:
        for lease in self.calls():
            self.ask(self.gate.leave(lease, 0, verdict, code="provider_down"))
            self._hear_gate()
            return lease
        return None

    def calls(self) -> list[Lease]:
        """All leases with a call that went through the gate and has not left."""
        inside = self.table.look().scores(f"gate:{self.gate.name}:calls")
        return [lease for lease in self.leases if f"{lease.job_id}:{lease.fence}:0" in inside]

    def _hear_gate(self) -> None:
        """Take over whom the gate woke: those that wait at once, those that still have their slot as they give it."""
        look = self.table.look()
        for job in self.model.jobs.values():
            if job.is_waiting and job.id in look.scores("queued"):
                self.model.wake(job)
                job.has_bell, job.is_unrung = not self.losses, self.losses > 0
                self.tally["woken"] += 1
            if job.state is JobState.RUNNING:
                job.gate = look.fields(f"job:{job.id}").get("gate", "")
                self.tally["woken with its slot"] += job.gate == "woken"
