"""How long recovery took is read from the jobs' stories; what counts as calm must not hide a slow recovery."""

from __future__ import annotations

import signal
from dataclasses import replace

from contract.jobs.job import JobEvent, moment
from tests.chaos.arena.crew import Life
from tests.chaos.verdict.timing import Recoveries, measure
from tests.unit.support.test_checker import found

KILLED_AT = 100.0


def told(at: float, state: str, **more: str) -> JobEvent:
    return JobEvent.model_validate({"type": state, "at": moment(at * 1000)} | more)


def life(pid: int, ended: float = KILLED_AT) -> Life:
    return Life(name=f"worker-{pid}", pid=pid, began=0.0, ended=ended, code=-signal.SIGKILL)


def recovered(*events: JobEvent, lives: tuple[Life, ...] = ()) -> Recoveries:
    """Measure a job whose worker 7 was killed, and that worker 8 has gone on with."""
    last = (
        told(90, "running", worker="host-7"),
        told(115, "queued", why="worker_lost"),
        told(127, "running", worker="host-8"),
    )
    return measure([replace(found(), events=(*events, *last))], [], [life(7), *lives])


def test_a_killed_workers_job_counts_from_the_kill() -> None:
    assert recovered() == Recoveries(kill=[27.0])


def test_a_job_whose_next_worker_is_struck_is_counted_apart() -> None:
    assert recovered(lives=(life(9, 120.0),)) == Recoveries(in_trouble=[27.0])


def test_one_that_lost_its_worker_before_waits_by_design_and_is_counted_apart() -> None:
    before = told(1, "running", worker="host-3"), told(20, "queued", why="worker_lost")
    assert recovered(*before) == Recoveries(in_trouble=[27.0])


def test_one_that_was_queued_anew_for_another_reason_is_not() -> None:
    before = told(1, "running", worker="host-3"), told(20, "queued", why="released")
    assert recovered(*before) == Recoveries(kill=[27.0])
