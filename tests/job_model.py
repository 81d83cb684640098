"""The job table once more, as plain dicts: what each move has to answer, and what has to be there after it.

Times are milliseconds of one clock that `pass_time` moves. Which bells a sweep rings again and whom a gate wakes is
left open: the model is told, and checks that it was somebody who may be woken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from contract.job import ACTIVE, JobState

LEASE_MS = 15_000
LOCK_MS = 60_000
RETENTION_MS = 86_400_000
APART_MS, SUSPECT_MS = 3_000, 86_400_000
MOST_ACTIVE, MOST_QUEUED, MOST_CALLS = 3, 4, 2


@dataclass(kw_only=True)
class ModelJob:
    """One job as it has to be."""

    id: str
    owner: str
    created_at: int
    deadline: int
    run_time: int
    priority: int = 0
    state: JobState = JobState.QUEUED
    fence: int = 0
    not_before: int = 0
    lease_until: int = 0
    crashes: int = 0
    worker: str = ""  # who claimed it last
    is_started: bool = False
    is_waiting: bool = False  # in the index of those that may not start yet
    has_bell: bool = True  # nobody has taken the bell that was rung when it became ready
    gate: str = ""  # "waits" for a gate, or was "woken" by it before it gave its slot back
    attempts: dict[int, str] = field(default_factory=dict)
    images: dict[int, str] = field(default_factory=dict)
    endings: list[JobState] = field(default_factory=list)
    forgotten_at: float = float("inf")

    @property
    def order(self) -> int:
        """Where it stands among the ready ones."""
        return self.priority * 10**13 + self.created_at

    @property
    def bells(self) -> str:
        """Which list its bells go to."""
        return f"bells:{self.priority}" if self.priority else "bells"

    @property
    def is_ready(self) -> bool:
        """Tell whether it stands among the ready ones."""
        return self.state is JobState.QUEUED and not self.is_waiting

    def enqueue(self, not_before: int, now: int) -> None:
        """Put it back into the queue."""
        self.state, self.not_before = JobState.QUEUED, not_before
        self.is_waiting = not_before > now
        self.has_bell = not self.is_waiting

    def finish(self, state: JobState, now: int) -> JobState:
        """End it; one with images that ran out of luck has succeeded in part."""
        if self.images and state in (JobState.FAILED, JobState.EXPIRED):
            state = JobState.SUCCEEDED
        self.state, self.forgotten_at, self.is_waiting = state, now + RETENTION_MS, False
        self.endings.append(state)
        return state


class JobModel:
    """All jobs as they have to be."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.jobs: dict[str, ModelJob] = {}
        self.keys: dict[tuple[str, str], tuple[str, str, int]] = {}  # the job, what was asked for, until when
        self.lock = ("", 0)  # who sweeps, until when
        self.suspects: dict[str, tuple[str, int]] = {}  # each worker's job on its last chance, until when it is known
        self.contact = (0, 0)  # when a sweeper was here, and since when there was no gap

    def pass_time(self, by_ms: int) -> None:
        """Move the clock; what Redis keeps for a time only is forgotten."""
        self.now += by_ms
        self.jobs = {job.id: job for job in self.jobs.values() if job.forgotten_at > self.now}
        self.keys = {name: known for name, known in self.keys.items() if known[2] > self.now}

    def submit(
        self, job: ModelJob, key: str | None, digest: str, bells: Mapping[str, Sequence[str]]
    ) -> str | tuple[str, bool]:
        """Accept a job, if no list of bells is too long."""
        known = self.keys.get((job.owner, key or ""))
        if job.id in self.jobs:
            return job.id, False
        if known:
            return (known[0], True) if known[1] == digest else "idempotency_key_reused"
        active = [other for other in self.jobs.values() if other.state in ACTIVE]
        mine = sum(other.owner == job.owner for other in active)
        if mine >= MOST_ACTIVE:
            return "too_many_jobs"
        job.priority = mine
        queued = sum(other.state is JobState.QUEUED for other in active)
        if queued >= MOST_QUEUED or len(bells.get(job.bells, ())) >= 2 * MOST_QUEUED:
            return "queue_full"
        self.jobs[job.id] = job
        if key:
            self.keys[job.owner, key] = (job.id, digest, self.now + RETENTION_MS)
        return job.id, False

    def claim(self, job_id: str, worker: str) -> int | None:
        """Claim a job; answers the fence."""
        job = self.jobs.get(job_id)
        if job is None or job.state is not JobState.QUEUED or job.not_before > self.now:
            return None
        if job.deadline <= self.now:
            job.finish(JobState.EXPIRED, self.now)
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
        job.fence += 1
        return job.fence

    def held(self, job_id: str, fence: int) -> ModelJob | None:
        """Find the job if this fence still holds it."""
        job = self.jobs.get(job_id)
        return job if job and job.state is JobState.RUNNING and job.fence == fence else None

    def begin(self, job_id: str, fence: int, number: int, attempt: str) -> str | None:
        """Count a call."""
        if not (job := self.held(job_id, fence)):
            return "lost"
        if job.deadline <= self.now:
            return "deadline_passed"
        if number not in job.attempts and len(job.attempts) >= MOST_CALLS:
            return "call_budget_spent"
        job.attempts.setdefault(number, attempt)
        return None

    def release(self, job_id: str, fence: int, wait_ms: int, *, at_gate: bool) -> str | None:
        """Give a slot back."""
        if not (job := self.held(job_id, fence)):
            return "lost"
        if not wait_ms:
            job.priority = 0  # what was begun goes before all that was not
        if at_gate and job.gate == "woken":
            wait_ms = 0
        job.gate = "waits" if at_gate else ""
        job.enqueue(self.now + wait_ms if wait_ms else 0, self.now)
        return None

    def cancel(self, job_id: str, owner: str | None) -> str:
        """Cancel a job; answers the state it had."""
        job = self.jobs.get(job_id)
        if job is None or owner not in (None, job.owner):
            return "job_not_found"
        before = job.state
        if before in ACTIVE:
            job.finish(JobState.CANCELLED, self.now)
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
        for job in self.jobs.values():
            if job.state is JobState.RUNNING and job.lease_until <= self.now and self.now - since >= patience_ms:
                self._judge(job)
            if job.state is JobState.QUEUED and job.deadline <= self.now:
                job.finish(JobState.EXPIRED, self.now)
            if job.state is JobState.QUEUED and job.is_waiting and job.not_before <= self.now:
                job.is_waiting, job.has_bell = False, True
        return True

    def _judge(self, job: ModelJob) -> None:
        job.crashes += 1
        if job.crashes >= 3:
            job.finish(JobState.FAILED, self.now)
        elif job.deadline <= self.now:
            job.finish(JobState.EXPIRED, self.now)
        else:
            job.priority = 0
            job.enqueue(0, self.now)

    def wake(self, job: ModelJob) -> None:
        """Take over that a gate woke a job, which must have waited for it."""
        assert job.state is JobState.QUEUED
        assert job.gate == "waits"
        job.enqueue(0, self.now)
