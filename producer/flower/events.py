"""A job's move in Celery's terms: the task events that Flower shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contract.jobs.job import JobState
from contract.monitoring.journal import Move
from contract.store.celery_app import TASK

NOWHERE = "queue"  # stands for a worker where a job had none

Event = dict[str, Any]


def task_events(move: Move, *, clock: int, gateway: str) -> list[Event]:
    """Tell a move as Celery would; `gateway` is where the job's own page begins, `clock` grows with each move."""
    return [
        {
            "uuid": move.job,
            "name": TASK,
            "args": "(job)",
            "kwargs": "{}",
            "hostname": f"darkroom@{move.worker}" if move.worker else NOWHERE,
            "local_received": None,  # a job's past is no sign of life of its worker
            "timestamp": move.at,
            "clock": clock,
            **event,
        }
        for event in _EVENTS[move.state](move, f"{gateway}/v1/jobs/{move.job}")
    ]


def summary(move: Move) -> str:
    """Say what came of a job, as in "2 of 2 images, 3 calls, openai/gpt-5.4-image-2, $0.04"."""
    images = f"{move.images} of {move.count} image{'' if move.count == 1 else 's'}"
    calls = f"{move.calls} call{'' if move.calls == 1 else 's'}"
    cost = "" if move.cost_usd is None else _dollars(move.cost_usd)
    return ", ".join(part for part in (move.code, images, calls, move.model, cost) if part)


def _dollars(cost: float) -> str:
    """Write an amount with two digits at least, and so many that it is not nothing."""
    whole, _, rest = f"{cost:.4f}".partition(".")
    return f"${whole}.{rest[:2]}{rest[2:].rstrip('0')}"


def _queued(move: Move, url: str) -> list[Event]:
    if move.started_at is None:
        return [{"type": "task-sent", "result": url}]
    return [{"type": "task-retried", "exception": move.note, "result": f"{summary(move)}, {url}"}]


def _running(move: Move, url: str) -> list[Event]:
    return [
        {"type": "task-received", "timestamp": move.created_at},
        {"type": "task-started", "timestamp": move.started_at or move.at, "exception": None, "result": url},
    ]


def _ended(name: str) -> Callable[[Move, str], list[Event]]:
    def ended(move: Move, url: str) -> list[Event]:
        code = move.code if name == "task-failed" else None
        runtime = None if move.started_at is None else max(0.0, round(move.at - move.started_at, 3))
        return [{"type": name, "result": f"{summary(move)}, {url}", "exception": code, "runtime": runtime}]

    return ended


_EVENTS: dict[JobState, Callable[[Move, str], list[Event]]] = {
    JobState.QUEUED: _queued,
    JobState.RUNNING: _running,
    JobState.SUCCEEDED: _ended("task-succeeded"),
    JobState.FAILED: _ended("task-failed"),
    JobState.EXPIRED: _ended("task-failed"),
    JobState.CANCELLED: _ended("task-revoked"),
}
