"""The queue's half of the machine: callers, bells, sweepers, time and crashes of Redis, beside a model of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Coroutine
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from contract.errors.exceptions import Refused
from contract.jobs.job import ACTIVE, Job, JobState
from contract.store.keys import micro
from contract.store.lease import CallRefused, Lease, LeaseLost
from contract.store.new_job import KeepLimits, NewJob
from tests.support.factories.jobs import asked
from tests.support.model.invariants import check_gate, check_table
from tests.support.model.model import LEASE_MS, LOCK_MS, MOST_ACTIVE, MOST_QUEUED, RETENTION_MS, JobModel, ModelJob
from tests.support.model.remembered import MOST_KEPT
from tests.support.model.table import JobTable
from worker.policy.circuit_breaker import CircuitBreakers

LEASE_S = LEASE_MS / 1000
PLACES = 1  # at the gate
WHICH = st.sampled_from([0, 0, 0, 0, 1, 1, 2, 3, 4, 5])  # of the jobs or leases, the likely ones first
REFUSALS = frozenset(
    (
        *("lost", "job_not_found", "deadline_passed", "call_budget_spent"),
        *("idempotency_key_forgotten", "idempotency_key_reused", "too_many_jobs", "queue_full", "budget_spent"),
    )
)
WORKERS = st.sampled_from(["w1", "w2"])
SECONDS = st.sampled_from([60, 7200])
PRICE_USD = 0.03  # of one image
TIMES = st.sampled_from([1, 5_000, 5_000, LEASE_MS, LEASE_MS, LOCK_MS, LOCK_MS, LOCK_MS, RETENTION_MS])
waited_for = precondition(lambda self: self.active() > 0)


class QueueMachine(RuleBasedStateMachine):
    """Every rule does one thing to the table and to the model, and both have to answer the same."""

    def __init__(self, table: JobTable, tally: Counter[str]) -> None:
        super().__init__()
        self.table, self.store, self.tally = table, table.store, tally
        self.store.keep = KeepLimits(jobs=MOST_KEPT)
        table.clear()
        self.model = JobModel(table.now_ms)
        self.gate = CircuitBreakers(self.store, limit=PLACES, open_s=10).to("p", "key", "m")
        self.requests: list[NewJob] = []
        self.seen = table.look()
        self.kills = 0
        self.is_sound = False  # the last step has kept the laws
        self.is_still = False  # the last step must not have changed anything
        self.lossy = 0  # after how many steps one misses answers; 0: none does
        self.steps = 0
        self.losses = 0  # answers that this step misses from each script, until it has asked again

    def ask(self, doing: Coroutine[Any, Any, object]) -> object:
        """Do something to the table; refusals are answers, too, and change nothing."""
        self.is_sound = False
        self.table.redis.answers_lost = self.losses
        self.tally["answers lost"] += self.losses
        try:
            answer = self.table.run(doing)
        except LeaseLost:
            answer = "lost"
        except CallRefused as refused:
            answer = str(refused)
        except Refused as refused:
            answer = refused.code
        finally:
            self.table.redis.answers_lost = 0
        self.is_still = isinstance(answer, str) and answer in REFUSALS
        if isinstance(answer, str):
            self.tally[str(answer)] += 1
        return answer

    @invariant()
    def keeps_the_laws(self) -> None:
        """Everything in Redis is as the model says; what was refused has left no trace."""
        look = self.table.look()
        check_table(look, self.model)
        check_gate(look, self.model, self.gate.name, PLACES)
        if self.is_still:
            assert look.but("contact") == self.seen.but("contact")
        self.tally.update("parked" if job.is_parked else str(job.state) for job in self.model.jobs.values())
        self.seen, self.is_sound, self.is_still = look, True, False
        self.steps += 1
        is_lossy = self.lossy and self.steps % self.lossy == 0
        self.losses = 1 + self.steps // self.lossy % 2 if is_lossy else 0

    def teardown(self) -> None:
        """Nothing is stuck: whatever is left comes to its end by bells and sweeps alone."""
        self.lossy = self.losses = 0
        if not self.is_sound:
            return
        for _ in range(20):
            if not self.active():
                return
            self.pass_time(30_000)
            self.keeps_the_laws()
            self.sweep("w1", 0)
            self.keeps_the_laws()
            while self.seen.bells():
                if lease := self.take(self.take_bell(0), "w1"):
                    self.finish(lease, JobState.SUCCEEDED)
                self.keeps_the_laws()
        raise AssertionError(f"stuck: {[job for job in self.model.jobs.values() if job.state in ACTIVE]}")

    def job(self, which: int) -> str:
        """Find a job: those that are queued come first, then running ones, then all others, then nobody's."""
        order = list(JobState)
        jobs = sorted(self.model.jobs.values(), key=lambda job: order.index(job.state))
        return [*(job.id for job in jobs), "nobody"][which % (len(jobs) + 1)]

    def active(self) -> int:
        """Count the jobs that are not over."""
        return sum(job.state in ACTIVE for job in self.model.jobs.values())

    # Callers

    @rule(
        owner=st.sampled_from(["ann", "bob"]),
        key=st.sampled_from([None, "k1", "k2"]),
        prompt=st.sampled_from(["a fox", "a cat"]),
        queue_s=SECONDS,
        run_s=SECONDS,
        most_running=st.sampled_from([0, 0, 1, 2]),
        budget_usd=st.sampled_from([0.0, 0.07, 0.13]),
        again=st.none() | WHICH,
    )
    def submit(
        self,
        owner: str,
        key: str | None,
        prompt: str,
        queue_s: int,
        run_s: int,
        most_running: int,
        budget_usd: float,
        again: int | None = None,
    ) -> None:
        """Submit a job, with an idempotency key or without, or repeat a submit whose answer was lost."""
        if again is not None and (job_id := self.job(again)) in self.model.jobs:
            self._submit(self.requests[int(job_id.removeprefix("job-"))])
            self.is_still = True
            return
        new = NewJob(
            id=f"job-{len(self.requests)}",
            owner=owner,
            conversation="chat",
            request=asked(prompt),
            snapshots=(),
            idempotency_key=key,
            queue_time_s=queue_s,
            run_time_s=run_s,
            max_active=MOST_ACTIVE,
            max_queued=MOST_QUEUED,
            max_running=most_running,
            budget_usd=budget_usd,
            price_usd=PRICE_USD,
            webhook="sealed" if prompt == "a cat" else "",
        )
        self.requests.append(new)
        self._submit(new)

    def _submit(self, new: NewJob) -> None:
        now, run_time = self.model.now, int(new.run_time_s * 1000)
        deadline = now + int(new.queue_time_s * 1000)
        job = ModelJob(
            id=new.id,
            owner=new.owner,
            created_at=now,
            deadline=deadline,
            run_time=run_time,
            most_running=new.max_running,
            count=new.request.count,
            price=micro(new.price_usd),
            webhook=new.webhook,
        )
        before = set(self.model.jobs)
        wanted = self.model.submit(job, new.idempotency_key, new.digest, budget=micro(new.budget_usd))
        answer = self.ask(self.store.submit(new))
        assert answer == wanted
        self.tally["forgotten"] += len(before - self.model.jobs.keys())
        if isinstance(answer, tuple):
            self.tally["replayed"] += answer[1]

    @precondition(lambda self: self.active() > 1)
    @rule(which=WHICH, owner=st.sampled_from(["ann", "bob", None]))
    def cancel(self, which: int, owner: str | None) -> None:
        """Cancel a job: its owner, somebody else, or the operator."""
        job_id = self.job(which)
        wanted = self.model.cancel(job_id, owner)
        assert self.ask(self.store.cancel(job_id, owner=owner)) == wanted
        self.tally[f"cancelled when {wanted}"] += 1

    @precondition(lambda self: len(self.model.jobs) > 1)
    @rule(which=WHICH, owner=st.sampled_from(["ann", "bob"]))
    def delete(self, which: int, owner: str) -> None:
        """Delete a job: its owner, or somebody else."""
        job_id = self.job(which)
        wanted = self.model.delete(job_id, owner)
        answer = self.ask(self.store.delete(job_id, owner=owner))
        if wanted is None:
            assert answer == "job_not_found"
            return
        assert isinstance(answer, Job)
        assert (answer.state, len(answer.images)) == (wanted.state, len(wanted.images))
        self.tally[f"deleted when {wanted.state}"] += 1
        look = self.table.look()
        for image in answer.images:
            assert f"image:{image.id}" not in look.keys
            assert image.path not in (look.keys[name] for name in look.keys if ":latest:" in name)

    # Bells, time and sweepers

    @waited_for
    @rule(which=st.lists(WHICH, max_size=3, unique=True))
    def ring(self, which: list[int]) -> None:
        """Ring for some jobs; only ready ones are rung for."""
        ids = {self.job(place) for place in which}
        jobs = [self.model.jobs[job_id] for job_id in ids if job_id in self.model.jobs]
        assert self.ask(self.store.ring(sorted(ids))) == sum(job.is_ready for job in jobs)
        for job in jobs:
            job.is_unrung = job.is_unrung and not job.is_ready

    def take_bell(self, which: int) -> str:
        """Take the next bell of one of the lists; answers its job."""
        lists = sorted(self.seen.bells().items())
        name, ids = lists[which % len(lists)]
        self.table.take_bell(name)
        job = self.model.jobs.get(ids[-1])
        if job and job.bells == name:
            job.has_bell = False
        return ids[-1]

    @waited_for
    @rule(by_ms=TIMES)
    def pass_time(self, by_ms: int) -> None:
        """Let time pass."""
        self.table.move(by_ms)
        self.model.pass_time(by_ms)

    @waited_for
    @rule(sweeper=WORKERS, patience_ms=st.sampled_from([0, 5_000]))
    def sweep(self, sweeper: str, patience_ms: int) -> None:
        """Sweep, whoever's turn it is; bells are rung for ready jobs only."""
        lock_s, patience_s = LOCK_MS / 1000, patience_ms / 1000
        rung = self.ask(self.store.sweep(sweeper, patience_s=patience_s, lock_s=lock_s, bell_s=2))
        self.is_still = not self.model.sweep(sweeper, patience_ms)
        assert isinstance(rung, int)
        assert rung <= sum(job.is_ready for job in self.model.jobs.values())

    @precondition(lambda self: self.kills < 1 and len(self.model.jobs) > 1)
    @rule()
    def kill_redis(self) -> None:
        """Kill Redis and start it again: nothing that it answered is lost."""
        self.kills += 1
        self.table.restart()
        self.is_still = True
        self.tally["Redis killed"] += 1

    # What a worker does with a bell; the rest is in `job_machine.py`

    def take(self, job_id: str, worker: str) -> Lease | None:
        """Claim a job."""
        fence = self.model.claim(job_id, worker, is_unheard=self.losses > 0)
        lease = self.ask(self.store.claim(job_id, worker=worker, lease_s=LEASE_S))
        if not isinstance(lease, Lease):
            assert fence is lease is None
            return None
        job = self.model.jobs[job_id]
        assert (lease.fence, lease.deadline_ms, lease.claimed_ms) == (fence, job.deadline, self.model.now)
        return lease

    def finish(self, lease: Lease, state: JobState) -> None:
        """End a job."""
        job = self.model.held(lease.job_id, lease.fence)
        answer = self.ask(self.store.end(lease, state))
        assert answer == (self.model.finish(job, state, are_rung=not self.losses) if job else "lost")
