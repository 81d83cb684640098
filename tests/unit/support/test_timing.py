"""How long recovery took is read from the jobs' stories; what counts as calm must not hide a slow recovery."""

from __future__ import annotations

import signal
from dataclasses import replace

import pytest

from contract.jobs.job import JobEvent, moment
from tests.chaos.arena.crew import Life
from tests.chaos.verdict.timing import Recoveries, measure
from tests.unit.support.test_checker import found

KILLED_AT = 100.0


def told(at: float, state: str, **more: str) -> JobEvent:
    return JobEvent.model_validate({"type": state, "at": moment(at * 1000)} | more)


def life(pid: int, ended: float = KILLED_AT) -> Life:
    return Life(name=f"worker-{pid}", pid=pid, began=0.0, ended=ended, code=-signal.SIGKILL)


def recovered(*events: JobEvent, lives: tuple[Life, ...] = (), beside: tuple[JobEvent, ...] = ()) -> Recoveries:
    """Measure a job whose worker 7 was killed, and that worker 8 has gone on with; another job ran `beside` it."""
    last = (
        told(90, "running", worker="host-7"),
        told(115, "queued", why="worker_lost"),
        told(127, "running", worker="host-8"),
    )
    stories = [replace(found(), events=(*events, *last)), replace(found(), events=beside)]
    return measure(stories, [], [life(7), *lives])


def test_a_killed_workers_job_counts_from_the_kill() -> None:
    assert recovered() == Recoveries(kill=[27.0])


def test_a_job_whose_next_worker_is_struck_is_counted_apart() -> None:
    assert recovered(lives=(life(9, 120.0),)) == Recoveries(in_trouble=[27.0])


LOST_BEFORE = told(1, "running", worker="host-3"), told(20, "queued", why="worker_lost")


def on_its_last_chance(*, until: float) -> tuple[JobEvent, ...]:
    """Tell of another job that lost two workers, and ran again until some time."""
    again = told(30, "queued", why="worker_lost"), told(40, "running", worker="host-8"), told(until, "succeeded")
    return (*LOST_BEFORE, told(25, "running", worker="host-4"), *again)


def test_one_that_waits_by_design_for_another_on_its_last_chance_is_counted_apart() -> None:
    assert recovered(*LOST_BEFORE, beside=on_its_last_chance(until=126)) == Recoveries(in_trouble=[27.0])


@pytest.mark.parametrize("beside", [(), on_its_last_chance(until=110)], ids=["nothing", "one that was over"])
def test_one_on_its_last_chance_that_had_nothing_to_wait_for_is_calm(beside: tuple[JobEvent, ...]) -> None:
    assert recovered(*LOST_BEFORE, beside=beside) == Recoveries(kill=[27.0])


def test_one_that_lost_no_other_worker_waits_for_nobody() -> None:
    before = told(1, "running", worker="host-3"), told(20, "queued", why="released")
    assert recovered(*before, beside=on_its_last_chance(until=126)) == Recoveries(kill=[27.0])
