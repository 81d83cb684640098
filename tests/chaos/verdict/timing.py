"""How long Darkroom took to recover: read from the jobs' stories, beside the times of the faults."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from contract.jobs.job import TERMINAL
from tests.chaos.arena.arena import Struck
from tests.chaos.arena.crew import Life
from tests.chaos.verdict.evidence import Found

REDIS = frozenset({"kill_redis", "freeze_redis", "drop_redis_clients"})
HELPLESS = frozenset({"freeze_worker", "freeze_at_failpoint", "part_worker"})
POP_S = 5.0  # a frozen worker's blocked pop takes no bell any more after this
STATES = frozenset({"queued", "waiting", "running", *TERMINAL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A job's change of state: when (wall clock), to which, by which process."""

    at: float
    state: str
    pid: int
    is_lost: bool = False  # its worker was killed


@dataclass(slots=True, kw_only=True)
class Recoveries:
    """Seconds from a fault until things went on again."""

    kill: list[float] = field(default_factory=list)  # a killed worker's job runs again
    stop: list[float] = field(default_factory=list)  # SIGTERM → its job runs elsewhere
    in_trouble: list[float] = field(default_factory=list)  # either, while Redis or the next workers had troubles, too
    redis: list[float] = field(default_factory=list)  # Redis answers again → a job starts, for each worker


def p99(values: Sequence[float]) -> float:
    """Tell what 99 of 100 values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]


def measure(found: Sequence[Found], struck: Sequence[Struck], lives: Sequence[Life]) -> Recoveries:
    """Measure all recoveries of a campaign."""
    stories = [_steps(each) for each in found]
    recoveries = Recoveries()
    outages = [(each.at, each.over) for each in struck if each.gust.kind in REDIS]
    # Whoever is struck now may have taken the bell with it: the job waits for the next one.
    blows = [(each.pid, each.at, min(each.over, each.at + POP_S)) for each in struck if each.gust.kind in HELPLESS]
    blows += [(life.pid, life.ended, life.ended) for life in lives]
    ends = [(life.pid, life.ended, recoveries.kill) for life in lives if life.code == -signal.SIGKILL]
    stopped = {life.pid for life in lives if life.code == 0}  # and not killed before they had stopped
    stops = [each for each in struck if each.gust.kind == "stop_worker" and each.pid in stopped]
    ends += [(each.pid, each.at, recoveries.stop) for each in stops]
    for pid, end, kind in ends:
        for queued, again, story in _again(stories, pid, end):
            further = [(since, until) for other, since, until in blows if other != pid]
            is_struck = _overlap(outages, end - 1, again) or _overlap(further, queued, again)
            # On its last chance a job waits, by design, until it runs beside no other such job.
            others = [span for other in stories if other is not story for span in _last_chances(other)]
            is_calm = not is_struck and not (_is_last_chance(story, again) and _overlap(others, queued, again))
            (kind if is_calm else recoveries.in_trouble).append(again - end)
    for each in struck:
        if each.gust.kind == "kill_redis":
            helpless = {
                f"worker-{other.gust.worker}"
                for other in struck
                if other.gust.kind in HELPLESS and other.over > each.at and other.at < each.over + 10
            }
            recoveries.redis += _busy_again(stories, [life for life in lives if life.name not in helpless], each)
    return recoveries


def _steps(found: Found) -> list[Step]:
    return [
        Step(
            at=event.at.timestamp(),
            state=event.type,
            pid=int(str(getattr(event, "worker", "-0")).rpartition("-")[2]),
            is_lost=getattr(event, "why", None) == "worker_lost",
        )
        for event in found.events
        if event.type in STATES
    ]


def _again(stories: Sequence[Sequence[Step]], pid: int, at: float) -> Iterator[tuple[float, float, Sequence[Step]]]:
    """Find the jobs that a process held at a time: when each was queued anew, and when it ran again elsewhere."""
    for story in stories:
        before = [step for step in story if step.at <= at]
        if not before or (before[-1].state, before[-1].pid) != ("running", pid):
            continue
        after = story[len(before) :]
        again = next((step for step in after if step.state in ("running", *TERMINAL)), None)
        if again is not None and again.state == "running":
            yield next((step.at for step in after if step.state == "queued"), at), again.at, story


def _is_last_chance(story: Sequence[Step], at: float) -> bool:
    """Tell whether two workers of a job were killed by then."""
    return sum(step.is_lost for step in story if step.at <= at) > 1


def _last_chances(story: Sequence[Step]) -> Iterator[tuple[float, float]]:
    """Find when a job ran on its last chance."""
    for step, following in zip(story, [*story[1:], *story[-1:]], strict=True):
        if step.state == "running" and _is_last_chance(story, step.at):
            yield step.at, following.at


def _overlap(spans: Sequence[tuple[float, float]], begin: float, end: float) -> bool:
    return any(since <= end and until >= begin for since, until in spans)


def _busy_again(stories: Sequence[Sequence[Step]], lives: Sequence[Life], outage: Struck) -> Iterator[float]:
    """Find when each worker that lived through an outage started its next job, if there was one to start."""
    starts = sorted((step.at, step.pid) for story in stories for step in story if step.state == "running")
    for life in lives:
        if life.began < outage.at:
            mine = next((at for at, pid in starts if pid == life.pid and outage.over < at < life.ended), None)
            if mine is not None:
                yield mine - outage.over
