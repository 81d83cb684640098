"""The job table once more, as plain dicts: what each move has to answer, and what has to be there after it.

Times are milliseconds of one clock that `pass_time` moves. Which bells a sweep rings again and whom a gate wakes is
left open: the model is told, and checks that it was somebody who may be woken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from contract.jobs.job import ACTIVE, Attempt, JobState, Outcome
from tests.support.model.remembered import KEY_MS, Mark, Remembered

LEASE_MS = 15_000
LOCK_MS = 60_000
RETENTION_MS = 86_400_000
APART_MS, SUSPECT_MS, DAY_MS = 3_000, 86_400_000, 86_400_000
MOST_ACTIVE, MOST_QUEUED, MOST_CALLS = 4, 5, 2
MOST_READY = 2  # the tests' own limit, put into the scripts: `tests/integration/store/test_model.py`
UNBILLED = frozenset({Outcome.TRANSIENT, Outcome.RATE_LIMITED, Outcome.UNUSABLE, Outcome.REJECTED})


@dataclass(kw_only=True)
class ModelJob:
    """One job as it has to be."""

    id: str
    owner: str
    created_at: int
    deadline: int
    run_time: int
    most_running: int = 0
    count: int = 1
    price: int = 0  # micro-dollars
    webhook: str = ""
    priority: int = 0
    order: int = 0  # where it stands among the ready ones, or among the parked ones
    state: JobState = JobState.QUEUED
    fence: int = 0
    not_before: int = 0
    lease_until: int = 0
    crashes: int = 0
    worker: str = ""  # who claimed it last
    is_started: bool = False
    is_waiting: bool = False  # in the index of those that may not start yet
    is_parked: bool = False  # its owner had no room for it
    has_bell: bool = True  # nobody has taken the bell that was rung when it became ready
    is_unrung: bool = False  # it became ready, and the next sweep has to ring for it
    reserved: int | None = None  # of its owner's budget, in micro-dollars, on this day
    budget_day: int = 0
    gate: str = ""  # "waits" for a gate, or was "woken" by it before it gave its slot back
    attempts: dict[int, Attempt] = field(default_factory=dict)
    images: dict[int, str] = field(default_factory=dict)
    endings: list[JobState] = field(default_factory=list)
    forgotten_at: float = float("inf")

    @property
    def bells(self) -> str:
        """Which list its bells go to."""
        return f"bells:{self.priority}" if self.priority else "bells"

    @property
    def is_ready(self) -> bool:
        """Tell whether it stands among the ready ones."""
        return self.state is JobState.QUEUED and not (self.is_waiting or self.is_parked)

    @property
    def is_in_play(self) -> bool:
        """Tell whether it is ready, or waits for its time, or runs."""
        return self.state in ACTIVE and not self.is_parked

    @property
    def cost(self) -> int:
        """Sum up what it has cost in micro-dollars, or may have."""
        guesses = (0 if call.outcome in UNBILLED else self.price for call in self.attempts.values())
        told = (call.cost_usd for call in self.attempts.values())
        return sum(guess if cost is None else round(1e6 * cost) for cost, guess in zip(told, guesses, strict=True))

    def stand(self, rank: int, now: int) -> None:
        """Take a place among those of a rank, behind all that are there."""
        self.order = rank * 10**13 + now

    def hurry(self) -> None:
        """Go before all that have not begun."""
        self.priority, self.order = 0, self.created_at

    def enqueue(self, not_before: int, now: int) -> None:
        """Put it back into the queue."""
        self.state, self.not_before = JobState.QUEUED, not_before
        self.is_waiting = not_before > now
        self.has_bell, self.is_unrung = not self.is_waiting, False


class JobModel:
    """All jobs as they have to be."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.jobs: dict[str, ModelJob] = {}
        self.keys: dict[tuple[str, str], tuple[str, str, int]] = {}  # the job, what was asked for, until when
        self.lock = ("", 0)  # who sweeps, until when
        self.suspects: dict[str, tuple[str, int]] = {}  # each worker's job on its last chance, until when it is known
        self.spent: dict[tuple[str, int], tuple[int, int]] = {}  # by owner and day: micro-dollars, known until
        self.webhooks: dict[str, int] = {}  # the jobs that somebody has to be told of, and since when
        self.deleted: dict[str, int] = {}  # until when that is known
        self.remembered = Remembered()
        self.forgotten: set[str] = set()  # jobs whose keys are known still
        self.contact = (0, 0)  # when a sweeper was here, and since when there was no gap

    def pass_time(self, by_ms: int) -> None:
        """Move the clock; what Redis keeps for a time only is forgotten."""
        self.now += by_ms
        self.jobs = {job.id: job for job in self.jobs.values() if job.forgotten_at > self.now}
        self.keys = {name: known for name, known in self.keys.items() if known[2] > self.now}
        self.spent = {name: known for name, known in self.spent.items() if known[1] > self.now}
        self.deleted = {job_id: until for job_id, until in self.deleted.items() if until > self.now}

    def of(self, owner: str) -> list[ModelJob]:
        """All active jobs of an owner."""
        return [job for job in self.jobs.values() if job.owner == owner and job.state in ACTIVE]

    def parked(self, owner: str | None = None) -> list[ModelJob]:
        """All parked jobs, of an owner, in their order."""
        jobs = [job for job in self.jobs.values() if job.is_parked and owner in (None, job.owner)]
        return sorted(jobs, key=lambda job: (job.order, job.id))

    def in_play(self, owner: str) -> int:
        """Count an owner's jobs that are not parked."""
        return sum(job.is_in_play for job in self.of(owner))

    def has_room(self, owner: str, most: int) -> bool:
        """Tell whether one more job of an owner may be ready."""
        running = sum(job.state is JobState.RUNNING for job in self.of(owner))
        playing = self.in_play(owner)
        return playing - running < MOST_READY and (most == 0 or playing < most)

    def _park(self, job: ModelJob) -> None:
        others, mine = self.parked(), self.parked(job.owner)
        turn = others[0].order // 10**13 if others else 0
        job.stand(max(turn, mine[-1].order // 10**13 + 1) if mine else turn, self.now)
        job.is_parked, job.has_bell = True, False

    def _admit(self, owner: str, *, are_rung: bool = False) -> None:
        """Make parked jobs ready while there is room; a claim rings for them at once."""
        for job in self.parked(owner):
            if not self.has_room(owner, job.most_running):
                return
            job.priority = min(self.in_play(owner), 9)
            job.stand(job.priority, self.now)
            job.is_parked = False
            job.enqueue(0, self.now)
            job.has_bell, job.is_unrung = are_rung, not are_rung

    def finish(self, job: ModelJob, state: JobState, *, are_rung: bool = False) -> JobState:
        """End a job; one with images that ran out of luck has succeeded in part. A worker rings for those admitted."""
        if job.images and state in (JobState.FAILED, JobState.EXPIRED):
            state = JobState.SUCCEEDED
        job.state, job.forgotten_at = state, self.now + RETENTION_MS
        job.is_waiting = job.is_parked = False
        job.endings.append(state)
        self._charge(job)
        job.reserved = None
        if job.webhook:
            self.webhooks[job.id] = self.now
        else:
            self.remembered.jobs[job.owner].append(job.id)
        self._admit(job.owner, are_rung=are_rung)
        return state

    def submit(self, job: ModelJob, key: str | None, digest: str, *, budget: int = 0) -> str | tuple[str, bool]:
        """Accept a job."""
        known = self.keys.get((job.owner, key or ""))
        if job.id in self.jobs:
            return job.id, False
        if known and (known[0] in self.jobs or known[0] in self.forgotten):
            same = "idempotency_key_forgotten" if known[0] in self.forgotten else (known[0], True)
            return same if known[1] == digest else "idempotency_key_reused"
        if refusal := self._refusal(job, budget):
            return refusal
        self._make_room(job.owner)
        is_ready = not self.parked(job.owner) and self.has_room(job.owner, job.most_running)
        if is_ready:
            job.stand(job.priority, self.now)
        else:
            self._park(job)
        self.jobs[job.id] = job
        if budget:
            self._reserve(job)
        if key:
            self.keys[job.owner, key] = (job.id, digest, self.now + RETENTION_MS)
        return job.id, False

    def _make_room(self, owner: str) -> None:
        """Forget what is too much of an owner's ended jobs, and keep their keys in mind."""
        self.remembered.tidy(owner, is_there=lambda entry: self._is_there(owner, entry))
        for job_id in self.remembered.too_many(owner):
            self.jobs.pop(job_id, None)
            for (whose, key), (known, digest, until) in self.keys.items():
                if known == job_id:
                    self.keys[whose, key] = (known, digest, min(until, self.now + KEY_MS))
                    self.forgotten.add(job_id)
                    self.remembered.marks[owner].append(("idem", key))
        for kind, name in self.remembered.too_many_marks(owner):
            if kind == "idem":
                self.keys.pop((owner, name), None)
            else:
                self.deleted.pop(name, None)

    def _is_there(self, owner: str, entry: str | Mark) -> bool:
        if isinstance(entry, str):
            return entry in self.jobs
        kind, name = entry
        return (owner, name) in self.keys if kind == "idem" else name in self.deleted

    def _refusal(self, job: ModelJob, budget: int) -> str:
        if len(self.of(job.owner)) >= MOST_ACTIVE:
            return "too_many_jobs"
        job.priority = min(self.in_play(job.owner), 9)
        queued = sum(other.state is JobState.QUEUED for other in self.jobs.values())
        if queued >= MOST_QUEUED:
            return "queue_full"
        spent, _ = self.spent.get((job.owner, self.now // DAY_MS), (0, 0))
        return "budget_spent" if budget and spent + job.count * job.price > budget else ""

    def _reserve(self, job: ModelJob) -> None:
        job.budget_day, job.reserved = self.now // DAY_MS, job.count * job.price
        spent, _ = self.spent.get((job.owner, job.budget_day), (0, 0))
        self.spent[job.owner, job.budget_day] = (spent + job.reserved, self.now + 2 * DAY_MS)

    def _charge(self, job: ModelJob) -> None:
        if job.reserved is not None and (job.owner, job.budget_day) in self.spent:
            spent, until = self.spent[job.owner, job.budget_day]
            self.spent[job.owner, job.budget_day] = (spent + job.cost - job.reserved, until)

    def end_call(self, job: ModelJob, number: int, ended: Attempt) -> None:
        """Write how a call ended; what a job has cost beyond its reservation is charged at once."""
        job.attempts[number] = ended
        if job.reserved is not None and job.cost > job.reserved:
            self._charge(job)
            job.reserved = job.cost

    def claim(self, job_id: str, worker: str, *, is_unheard: bool = False) -> int | None:
        """Claim a job; answers the fence. Who misses the answer rings for none that is admitted."""
        job = self.jobs.get(job_id)
        if job is None or job.state is not JobState.QUEUED or job.is_parked or job.not_before > self.now:
            return None
        if job.deadline <= self.now:
            self.finish(job, JobState.EXPIRED)
            return None
        if job.crashes >= 2:
            other_id, until = self.suspects.get(worker, ("", 0))
            other = self.jobs.get(other_id)
            if other and until > self.now and (other.state, other.worker) == (JobState.RUNNING, worker):
                job.enqueue(self.now + APART_MS, self.now)
                return None
            self.suspects[worker] = (job_id, self.now + SUSPECT_MS)
        if not job.is_started:
            job.is_started, job.deadline = True, self.now + job.run_time
        job.state, job.worker, job.lease_until = JobState.RUNNING, worker, self.now + LEASE_MS
        job.is_waiting = False
        job.fence += 1
        self._admit(job.owner, are_rung=not is_unheard)
        return job.fence

    def held(self, job_id: str, fence: int) -> ModelJob | None:
        """Find the job if this fence still holds it."""
        job = self.jobs.get(job_id)
        return job if job and job.state is JobState.RUNNING and job.fence == fence else None

    def begin(self, job_id: str, fence: int, number: int, attempt: Attempt) -> str | None:
        """Count a call."""
        if not (job := self.held(job_id, fence)):
            return "lost"
        if job.deadline <= self.now:
            if job.attempts.get(number) == attempt:  # it was counted, and nobody knows of that
                del job.attempts[number]
            return "deadline_passed"
        calls = [known for known in job.attempts.values() if known.index == attempt.index]
        if number not in job.attempts and len(calls) >= MOST_CALLS:
            return "call_budget_spent"
        if number not in job.attempts:
            job.attempts[number] = attempt
        return None

    def release(self, job_id: str, fence: int, wait_ms: int, *, at_breaker: bool) -> str | None:
        """Give a slot back."""
        if not (job := self.held(job_id, fence)):
            return "lost"
        if not wait_ms:
            job.hurry()  # what was begun goes before all that was not
        if at_breaker and job.gate == "woken":
            wait_ms = 0
        job.gate = "waits" if at_breaker else ""
        job.enqueue(self.now + wait_ms if wait_ms else 0, self.now)
        return None

    def cancel(self, job_id: str, owner: str | None) -> str:
        """Cancel a job; answers the state it had."""
        job = self.jobs.get(job_id)
        if job is None or owner not in (None, job.owner):
            return "job_not_found"
        before = job.state
        if before in ACTIVE:
            self.finish(job, JobState.CANCELLED)
        return before

    def delete(self, job_id: str, owner: str) -> ModelJob | None:
        """Forget a job; answers it as it was."""
        job = self.jobs.get(job_id)
        if job is None or job.owner != owner:
            return None
        before = replace(job)
        self.cancel(job_id, owner)
        del self.jobs[job_id]
        self.webhooks.pop(job_id, None)
        self.keys = {name: known for name, known in self.keys.items() if known[0] != job_id}
        if before.fence:  # a worker had it
            self.deleted[job_id] = self.now + RETENTION_MS
            self.remembered.marks[owner].append(("deleted", job_id))
        self.remembered.drop(owner, job_id)
        return before

    def sweep(self, sweeper: str, patience_ms: int) -> bool:
        """End dead leases, expire jobs, wake waiting ones; tells whether it was this sweeper's turn."""
        last, since = self.contact
        if self.now - last > patience_ms:
            since = self.now
        self.contact = (self.now, since)
        holder, until = self.lock
        if holder != sweeper and until > self.now:
            return False
        self.lock = (sweeper, self.now + LOCK_MS)
        if self.now - since >= patience_ms:
            for job in self._due(JobState.RUNNING, lambda job: job.lease_until):
                self._judge(job)
        for job in self._due(JobState.QUEUED, lambda job: job.deadline):
            self.finish(job, JobState.EXPIRED)
        for job in self.jobs.values():
            if job.state is JobState.QUEUED:
                self._ring(job)
        return True

    def _ring(self, job: ModelJob) -> None:
        if job.is_waiting and job.not_before <= self.now:
            job.is_waiting, job.has_bell = False, True
        if job.is_unrung and job.is_ready:
            job.is_unrung, job.has_bell = False, True

    def _due(self, state: JobState, when: Callable[[ModelJob], int]) -> list[ModelJob]:
        """All jobs in a state whose time is over, in the order of their times."""
        jobs = [job for job in self.jobs.values() if job.state is state and when(job) <= self.now]
        return sorted(jobs, key=lambda job: (when(job), job.id))

    def _judge(self, job: ModelJob) -> None:
        job.crashes += 1
        if job.crashes >= 3:
            self.finish(job, JobState.FAILED)
        elif job.deadline <= self.now:
            self.finish(job, JobState.EXPIRED)
        else:
            job.hurry()
            job.enqueue(0, self.now)

    def wake(self, job: ModelJob) -> None:
        """Take over that a gate woke a job, which must have waited for it."""
        assert job.state is JobState.QUEUED
        assert job.gate == "waits"
        job.enqueue(0, self.now)
