"""The job hash in Redis, read back into a `Job`: the only place that knows its fields."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from contract import story
from contract.errors import DarkroomError
from contract.job import TERMINAL, Attempt, Failure, Image, Job, JobState, Outcome, Progress, Snapshot, moment
from contract.kinds import KINDS
from contract.request import JobRequest

Fields = Mapping[str, str]


def read_job(fields: Fields, position: int | None) -> Job:
    """Read a job; `position` is how many jobs are before it, if it stands in the queue."""
    state = JobState(fields["state"])
    request = JobRequest.model_validate_json(fields["request"])
    images = read_images(fields)
    attempts = tuple(_settled(attempt, state) for attempt in read_attempts(fields).values())
    costs = [attempt.cost_usd for attempt in attempts if attempt.cost_usd is not None]
    return Job(
        id=fields["id"],
        state=state,
        owner=fields["owner"],
        conversation=fields.get("conversation") or None,
        created_at=moment(float(fields["created_at"])),
        started_at=_moment(fields, "started_at"),
        ended_at=_moment(fields, "ended_at"),
        request=request,
        position=position,
        progress=Progress(
            done=len(images),
            count=request.count,
            message=story.progress(
                state, done=len(images), count=request.count, position=position, note=fields.get("note", "")
            ),
        ),
        images=images,
        attempts=attempts,
        degraded=next((image.degraded for image in images if image.degraded), None),
        cost_usd=round(sum(costs), 6) if costs else None,
        error=_failure(fields.get("error", "")),
        retry_of=fields.get("retry_of") or None,
    )


def read_attempts(fields: Fields) -> dict[int, Attempt]:
    """Read the attempts by their numbers, in the order they were begun."""
    return {number: Attempt.model_validate_json(text) for number, text in _numbered(fields, "attempt:")}


def _settled(attempt: Attempt, state: JobState) -> Attempt:
    """A call that was under way when its job ended brought nothing to it."""
    if attempt.outcome is not Outcome.RUNNING or state not in TERMINAL:
        return attempt
    outcome = Outcome.CANCELLED if state is JobState.CANCELLED else Outcome.LOST
    return attempt.model_copy(update={"outcome": outcome})


def read_images(fields: Fields) -> tuple[Image, ...]:
    """Read the delivered images in the order of their indexes."""
    return tuple(Image.model_validate_json(text) for _, text in _numbered(fields, "image:"))


def read_snapshots(fields: Fields) -> tuple[Snapshot, ...]:
    """Read what the job's reference images were when it was accepted."""
    return tuple(Snapshot.model_validate(item) for item in json.loads(fields["snapshots"]))


def failure(error: DarkroomError) -> str:
    """Write an error as the hash keeps it."""
    return Failure(code=error.code, detail=error.detail, retryable=error.retryable).model_dump_json()


def _failure(text: str) -> Failure | None:
    if not text:
        return None
    stored = json.loads(text)
    if "detail" in stored:
        return Failure.model_validate(stored)
    # The scripts know codes, not words.
    kind = KINDS[stored["code"]]
    return Failure(code=stored["code"], detail=kind.sentence, retryable=kind.retryable)


def _moment(fields: Fields, name: str) -> datetime | None:
    return moment(float(fields[name])) if name in fields else None


def _numbered(fields: Fields, prefix: str) -> list[tuple[int, str]]:
    found = ((int(name.removeprefix(prefix)), text) for name, text in fields.items() if name.startswith(prefix))
    return sorted(found)
