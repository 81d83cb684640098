"""The job hash in Redis, read back into a `Job`: the only place that knows its fields.

Another version may have written it: fields that are not known are passed over, and words that are not known are read
as the nearest ones that are.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import TypeVar

from contract.errors.catalogue.job_failure import JOB_UNREADABLE
from contract.errors.catalogue.table import look_up
from contract.errors.exceptions import DarkroomError
from contract.jobs import wording
from contract.jobs.ids import is_event_at_most, is_event_id
from contract.jobs.job import (
    TERMINAL,
    Attempt,
    Failure,
    Image,
    Job,
    JobEvent,
    JobState,
    Outcome,
    Progress,
    ReferenceSnapshot,
    moment,
)
from contract.jobs.request import KeptRequest

Fields = Mapping[str, str]
Part = TypeVar("Part", Attempt, Image)

_STATES = frozenset(JobState)
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, OSError)  # whatever is damaged

logger = logging.getLogger(__name__)


def read_job(fields: Fields, position: int | None) -> Job:
    """Read a job; `position` is how many jobs are before it, if it stands in the queue.

    An attempt or an image that cannot be read is left out. Raises DarkroomError (`job_unreadable`).
    """
    try:
        return _job(fields, position)
    except _UNREADABLE as error:
        job_id = fields.get("id", "")
        # Its text may quote what was read, so only the type of the error is reported.
        logger.error("job %s cannot be read: %s", job_id, type(error).__name__, extra={"job_id": job_id})
        raise DarkroomError(JOB_UNREADABLE) from None


def read_state(fields: Fields) -> JobState:
    """Read where a job stands; a state of a newer version is the nearest one that this version knows."""
    text = fields.get("state", "")
    if text in _STATES:
        return JobState(text)
    if fields.get("ended_at"):
        return JobState.FAILED if fields.get("images", "0") == "0" else JobState.SUCCEEDED
    return JobState.RUNNING if fields.get("started_at") else JobState.QUEUED


def _job(fields: Fields, position: int | None) -> Job:
    state = read_state(fields)
    request = KeptRequest.model_validate_json(fields["request"])
    images = read_images(fields)
    attempts = tuple(_settled(attempt, state) for attempt in _parts(fields, "attempt:", Attempt).values())
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
            message=wording.progress(
                state, done=len(images), count=request.count, position=position, note=fields.get("note", "")
            ),
        ),
        images=images,
        attempts=attempts,
        degraded=next((image.degraded for image in images if image.degraded), None),
        cost_usd=round(sum(costs), 6) if costs else None,
        error=_failure(fields.get("error", "")),
        warnings=tuple(filter(None, [wording.unused(sum(attempt.unused for attempt in attempts))])),
        retry_of=fields.get("retry_of") or None,
    )


def read_attempts(fields: Fields) -> dict[int, Attempt]:
    """Read the attempts by their numbers, in the order they were begun. Raises DarkroomError (`job_unreadable`)."""
    try:
        return {number: Attempt.model_validate_json(text) for number, text in _numbered(fields, "attempt:")}
    except _UNREADABLE:  # a worker that left one out would use its number again, and count a call too few
        raise DarkroomError(JOB_UNREADABLE) from None


def _settled(attempt: Attempt, state: JobState) -> Attempt:
    """A call that was under way when its job ended brought nothing to it."""
    if attempt.outcome is not Outcome.RUNNING or state not in TERMINAL:
        return attempt
    outcome = Outcome.CANCELLED if state is JobState.CANCELLED else Outcome.LOST
    return attempt.model_copy(update={"outcome": outcome})


def read_images(fields: Fields) -> tuple[Image, ...]:
    """Read the delivered images in the order of their indexes."""
    return tuple(_parts(fields, "image:", Image).values())


def read_snapshots(fields: Fields) -> tuple[ReferenceSnapshot, ...]:
    """Read what the job's reference images were when it was accepted. Raises DarkroomError (`job_unreadable`)."""
    try:
        return tuple(ReferenceSnapshot.model_validate(item) for item in json.loads(fields["snapshots"]))
    except _UNREADABLE:
        raise DarkroomError(JOB_UNREADABLE) from None


def read_events(entries: Iterable[tuple[str, Mapping[str, str]]]) -> list[JobEvent]:
    """Read the events of a stream; one that cannot be read is left out."""
    events = []
    for entry_id, entry in entries:
        with suppress(*_UNREADABLE):
            told = json.loads(entry["event"])
            events.append(JobEvent(**{**told, "id": entry_id, "at": moment(float(entry["at"]))}))
    return events


def read_story(text: str, *, after: str) -> list[JobEvent]:
    """Read the events of an ended job that come after one of them; `finish.lua` writes a line for each."""
    lines = (line.split(" ", 2) for line in text.splitlines() if line.count(" ") > 1)
    entries = [(event_id, {"at": at, "event": event}) for event_id, at, event in lines if is_event_id(event_id)]
    return [event for event in read_events(entries) if not is_event_at_most(event.id, after)]


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
    kind = look_up(stored["code"])
    return Failure(code=stored["code"], detail=kind.sentence.format_map({}), retryable=kind.retryable)


def _moment(fields: Fields, name: str) -> datetime | None:
    return moment(float(fields[name])) if name in fields else None


def _parts(fields: Fields, prefix: str, kind: type[Part]) -> dict[int, Part]:
    """Read numbered parts of a job; one that cannot be read is left out, and told in the log."""
    found = {}
    for number, text in _numbered(fields, prefix):
        try:
            found[number] = kind.model_validate_json(text)
        except ValueError:
            job_id = fields.get("id", "")
            logger.error("%s%s of job %s cannot be read", prefix, number, job_id, extra={"job_id": job_id})
    return found


def _numbered(fields: Fields, prefix: str) -> list[tuple[int, str]]:
    names = ((name.removeprefix(prefix), text) for name, text in fields.items() if name.startswith(prefix))
    return sorted((int(number), text) for number, text in names if number.isascii() and number.isdigit())
