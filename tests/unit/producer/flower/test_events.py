"""A job's moves in Celery's terms, as Celery's own model of tasks understands them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from celery.events.state import State

from contract.jobs.job import JobState
from contract.monitoring.journal import Move
from producer.flower.events import NOWHERE, summary, task_events

MOVE = Move(
    job="0b9f",
    state=JobState.QUEUED,
    at=100.0,
    created_at=100.0,
    started_at=None,
    worker="",
    code="",
    note="",
    images=0,
    count=2,
    calls=0,
    cost_usd=None,
    model="",
)
RUNNING = replace(MOVE, state=JobState.RUNNING, at=103.0, started_at=103.0, worker="host-1")
WAITING = replace(RUNNING, state=JobState.QUEUED, at=105.0, calls=1, note="Waiting 30 s.")
AGAIN = replace(RUNNING, at=135.0, worker="host-2", calls=1)
DONE = replace(AGAIN, state=JobState.SUCCEEDED, at=137.5, images=2, calls=3, cost_usd=0.04, model="gpt")


def shown(*moves: Move) -> Any:
    """Play moves into Celery's model of a cluster; answer the task."""
    state = State()
    for clock, move in enumerate(moves, 1):
        for event in task_events(move, clock=clock, gateway="http://gate"):
            state.event(event)
    [task] = state.tasks.values()
    return task


@pytest.mark.parametrize(
    ("moves", "state", "worker"),
    [
        ([MOVE], "PENDING", None),
        ([MOVE, RUNNING], "STARTED", "darkroom@host-1"),
        ([MOVE, RUNNING, WAITING], "RETRY", "darkroom@host-1"),
        ([MOVE, RUNNING, WAITING, AGAIN], "STARTED", "darkroom@host-2"),
        ([MOVE, RUNNING, WAITING, AGAIN, DONE], "SUCCESS", "darkroom@host-2"),
        (
            [MOVE, RUNNING, replace(RUNNING, state=JobState.FAILED, code="content_refused")],
            "FAILURE",
            "darkroom@host-1",
        ),
        ([MOVE, RUNNING, WAITING, replace(WAITING, state=JobState.EXPIRED)], "FAILURE", "darkroom@host-1"),
        ([MOVE, RUNNING, WAITING, replace(WAITING, state=JobState.CANCELLED)], "REVOKED", "darkroom@host-1"),
        ([MOVE, replace(MOVE, state=JobState.CANCELLED)], "REVOKED", NOWHERE),
        ([MOVE, replace(MOVE, state=JobState.EXPIRED, code="deadline_passed")], "FAILURE", NOWHERE),
        ([DONE], "SUCCESS", "darkroom@host-2"),
    ],
)
def test_the_state_is_the_jobs(moves: list[Move], state: str, worker: str | None) -> None:
    task = shown(*moves)
    assert task.state == state
    assert (task.worker.hostname if task.worker else None) == worker


def test_the_runtime_is_the_jobs_not_the_last_runs() -> None:
    task = shown(MOVE, RUNNING, WAITING, AGAIN, DONE)
    assert (task.received, task.started, task.runtime) == (100.0, 103.0, 34.5)


def test_no_runtime_where_no_worker_ever_had_it() -> None:
    assert shown(MOVE, replace(MOVE, state=JobState.CANCELLED, at=900.0)).runtime is None


def test_a_reason_to_wait_is_gone_when_the_job_runs_again() -> None:
    assert shown(MOVE, RUNNING, WAITING).exception == "Waiting 30 s."
    assert shown(MOVE, RUNNING, WAITING, AGAIN).exception is None
    assert shown(MOVE, RUNNING, WAITING, AGAIN, DONE).exception is None


def test_a_jobs_past_is_no_sign_of_life_of_its_worker() -> None:
    state = State()
    for event in task_events(RUNNING, clock=1, gateway=""):
        state.event(event)
    assert not state.workers["darkroom@host-1"].alive


@pytest.mark.parametrize(
    ("move", "words"),
    [
        (DONE, "2 of 2 images, 3 calls, gpt, $0.04"),
        (replace(DONE, images=1, count=1, calls=1, cost_usd=None), "1 of 1 image, 1 call, gpt"),
        (replace(DONE, code="content_refused", images=1), "content_refused, 1 of 2 images, 3 calls, gpt, $0.04"),
        (replace(DONE, cost_usd=0.0025), "2 of 2 images, 3 calls, gpt, $0.0025"),
        (replace(DONE, cost_usd=1.5), "2 of 2 images, 3 calls, gpt, $1.50"),
        (replace(DONE, cost_usd=0.0), "2 of 2 images, 3 calls, gpt, $0.00"),
    ],
)
def test_what_came_of_a_job_in_one_line(move: Move, words: str) -> None:
    assert summary(move) == words
    assert shown(MOVE, move).result == f"{words}, http://gate/v1/jobs/0b9f"
