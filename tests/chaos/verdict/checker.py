"""The verdict on a campaign, in Jepsen's words.

attempted: handed in. acknowledged: its client has an id. ok: ended as it had to, with all that belongs to it.
lost: acknowledged, and gone, or never ended, or without its images. unexpected: nobody asked for it, or it ended in
a way that nothing explains. duplicated: two jobs, two ends or too many images for one order. recovered: its client
never learnt of it, and it is there all the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from contract.jobs.ids import artifact_id
from contract.jobs.job import JobState, Outcome
from tests.chaos.arena.orders import Order
from tests.chaos.verdict.evidence import Evidence, Found, Made

CALLS_PER_IMAGE = 9
POISON = 3  # crashes that fail a job
CLOCKS_S = 0.05  # between the provider's and Redis's reading of one clock


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What was found; the lists say which and why."""

    attempted: int = 0
    acknowledged: int = 0
    ok: int = 0
    recovered: int = 0
    gave_up: int = 0  # failed, or succeeded in part, because the provider did
    crashed: int = 0  # given up after three crashes of their workers
    lost: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)
    unpaid: list[str] = field(default_factory=list)  # calls beyond their budget, unaccounted, or after the end
    stray: list[str] = field(default_factory=list)  # pairs on disk that their job does not list
    orphans: int = 0  # images whose sidecar was not written: nobody sees them, the janitor takes them
    calls: int = 0
    calls_for_crashes: int = 0
    calls_of_a_job: Counter[int] = field(default_factory=Counter)

    @property
    def is_kept(self) -> bool:
        """Whether the promise was kept."""
        return not (self.lost or self.unexpected or self.duplicated or self.torn or self.unpaid)

    @property
    def cost_of_crashes(self) -> float:
        """How many times the calls were made that would have been without crashes."""
        return self.calls / max(1, self.calls - self.calls_for_crashes)


def judge(evidence: Evidence) -> Verdict:
    """Judge what was found."""
    verdict = Verdict(torn=list(evidence.torn), attempted=len(evidence.orders))
    orders = {order.key: order for order in evidence.orders}
    jobs = {found.job.id: found for found in evidence.found}
    _judge_answers(verdict, evidence, jobs)
    told = {(entry.key, entry.kind) for entry in evidence.entries}
    for found in evidence.found:
        order = orders.get(found.key)
        if order is None:
            verdict.unexpected.append(f"{found.job.id}: nobody asked for it")
            continue
        verdict.recovered += (found.key, "acknowledged") not in told
        _judge_job(verdict, found, order, evidence, was_cancelled=(found.key, "cancelled") in told)
    _judge_calls(verdict, evidence, jobs)
    _judge_files(verdict, evidence, jobs)
    return verdict


def _judge_answers(verdict: Verdict, evidence: Evidence, jobs: dict[str, Found]) -> None:
    acknowledged: dict[str, set[str]] = {}
    for entry in evidence.entries:
        if entry.kind == "acknowledged":
            acknowledged.setdefault(entry.key, set()).add(entry.job_id)
    verdict.acknowledged = len(acknowledged)
    for key, ids in acknowledged.items():
        if len(ids) > 1:
            verdict.duplicated.append(f"{key}: its client was given {len(ids)} ids")
        verdict.lost += [f"{key}: job {job_id} is gone" for job_id in ids - jobs.keys()]
    for key, number in Counter(found.key for found in evidence.found).items():
        if number > 1:
            verdict.duplicated.append(f"{key}: {number} jobs")


def _judge_job(verdict: Verdict, found: Found, order: Order, evidence: Evidence, *, was_cancelled: bool) -> None:
    job, name = found.job, f"{found.key} ({found.job.id})"
    if not job.is_over:
        verdict.lost.append(f"{name}: still {job.state}")
        return
    if found.endings != 1:
        verdict.duplicated.append(f"{name}: ended {found.endings} times")
    if was_cancelled and job.state is not JobState.CANCELLED:
        verdict.unexpected.append(f"{name}: {job.state} after it was cancelled")
    missing = [image.id for image in job.images if evidence.pairs.get(image.id) != job.id]
    if missing:
        verdict.lost.append(f"{name}: {', '.join(missing)} not on disk")
    ids = [image.id for image in job.images]
    if len(set(ids)) < len(ids) or not set(ids) <= {artifact_id(job.id, index) for index in range(order.count)}:
        verdict.duplicated.append(f"{name}: images {', '.join(ids)} for {order.count}")
    ending = _ending(found, order)
    if ending == "unexpected":
        code = job.error.code if job.error else "no error"
        verdict.unexpected.append(f"{name}: {job.state} with {len(ids)} of {order.count} images, {code}")
    verdict.ok += ending == "ok"
    verdict.gave_up += ending == "gave up"
    verdict.crashed += ending == "crashed"


def _ending(found: Found, order: Order) -> str:
    """Say whether a job ended as it had to, and else what explains its end."""
    job, code = found.job, found.job.error.code if found.job.error else ""
    if job.state is JobState.CANCELLED:
        return "ok" if order.cancel_after is not None else "unexpected"
    if code == "worker_crashed":
        return "crashed" if found.crashes >= POISON - 1 else "unexpected"
    if order.is_refused:
        return "ok" if (job.state, code) == (JobState.FAILED, "content_refused") else "unexpected"
    short = set(range(order.count)) - {image.index for image in job.images}
    if job.state is JobState.SUCCEEDED and not short:
        return "ok"
    return "gave up" if all(_is_exhausted(found, index) for index in short) else "unexpected"


def _is_exhausted(found: Found, index: int) -> bool:
    """Whether an image had at least two bad answers: one is no reason to give it up."""
    good = (Outcome.DELIVERED, Outcome.RUNNING, Outcome.LOST, Outcome.CANCELLED)
    return sum(attempt.index == index and attempt.outcome not in good for attempt in found.job.attempts) >= 2


def _judge_calls(verdict: Verdict, evidence: Evidence, jobs: dict[str, Found]) -> None:
    made: Counter[str] = Counter(call.job_id for call in evidence.made)
    for call in evidence.made:
        found = jobs.get(call.job_id)
        if found is None or call.number not in found.attempts:
            verdict.unpaid.append(f"{call.job_id}: call {call.number} is in no attempt log")
        elif found.job.ended_at and _sent_from(call, evidence) > found.job.ended_at.timestamp() + CLOCKS_S:
            verdict.unpaid.append(f"{call.job_id}: call {call.number} was made after its end")
    for found in evidence.found:
        most = CALLS_PER_IMAGE * found.job.request.count
        if max(found.calls, made[found.job.id]) > most or made[found.job.id] > found.calls:
            verdict.unpaid.append(f"{found.job.id}: {made[found.job.id]} calls, {found.calls} counted, {most} allowed")
        verdict.calls_of_a_job[found.calls] += 1
        verdict.calls += found.calls
        verdict.calls_for_crashes += sum(_calls_for_crashes(found))


def _sent_from(call: Made, evidence: Evidence) -> float:
    """Tell when a call was sent at the earliest: a partition delivers it later, though its sender has hung up."""
    return min((held.sent_from(call.started_at) for held in evidence.held), default=call.started_at)


def _calls_for_crashes(found: Found) -> Iterator[int]:
    """Count the calls whose answers a crash or a stop took away."""
    outcomes = Counter(attempt.outcome for attempt in found.job.attempts)
    if found.job.state is not JobState.CANCELLED:
        yield outcomes[Outcome.LOST] + outcomes[Outcome.CANCELLED]
        yield max(0, outcomes[Outcome.DELIVERED] - len(found.job.images))


def _judge_files(verdict: Verdict, evidence: Evidence, jobs: dict[str, Found]) -> None:
    listed = {image.id for found in evidence.found for image in found.job.images}
    verdict.orphans = len(evidence.orphans)
    for artifact, job_id in evidence.pairs.items():
        if job_id not in jobs:
            verdict.unexpected.append(f"{artifact}: its job {job_id} does not exist")
        elif artifact not in listed:
            verdict.stray.append(f"{artifact}: not listed by {job_id}, {jobs[job_id].job.state}")
