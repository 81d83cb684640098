"""How far a vendor's task is, read from the words in which it says so; one table for all vendors.

A word that is not in the table means that the task goes on: vendors invent new ones, and waiting costs nothing.
"""

from __future__ import annotations

import re
from enum import StrEnum

from worker.answers.content_refusal import is_refused
from worker.answers.untrusted_json import Json, items, mapping, texts


class Stage(StrEnum):
    """How far a task is."""

    GOING = "going"
    DONE = "done"
    FAILED = "failed"  # it has ended without a picture
    REFUSED = "refused"  # a filter has stopped it
    GONE = "gone"  # the vendor does not have it any more


_WORDS: dict[Stage, frozenset[str]] = {
    Stage.REFUSED: frozenset(
        ("refused", "content_blocked", "content_rejected", "content_refused", "safety_blocked", "nsfw", "nsfw_detected")
    ),
    Stage.GONE: frozenset(("expired", "not_found", "not_exist", "gone", "deleted", "removed", "purged")),
    Stage.FAILED: frozenset(
        (
            *("failed", "failure", "fail", "error", "errored", "internal_error", "server_error", "system_error"),
            *("canceled", "cancelled", "cancel", "aborted", "abort", "rejected", "terminated", "stopped", "killed"),
            *("crashed", "dead", "timeout", "timed_out", "deadline_exceeded"),
        )
    ),
    Stage.DONE: frozenset(
        ("succeeded", "succeed", "success", "successful", "completed", "complete", "done", "finished", "ready")
    ),
}
_KEYS = ("status", "task_status", "taskStatus", "job_status", "jobStatus", "state")
_INSIDE = ("output", "data", "result", "response", "task", "job")  # an envelope goes around the task itself
_FILLERS = frozenset(
    ("task", "job", "status", "state", "generation", "image", "request", "prediction", "run", "execution", "processing")
)
_SUBJECT = r"(?:task|job|prediction|generation|operation|result|request|record|image|picture|id)"
_LOST = re.compile(
    rf"\b{_SUBJECT}s?\b.{{0,40}}?\b(?:not found|not exists?|t exist|(?:can)?not be found|expired|deleted|no longer)\b"
    rf"|\b(?:no such|unknown) {_SUBJECT}\b",
    re.DOTALL,
)
_MAX_CHARS = 500


def stage_of(answer: dict[str, Json]) -> Stage:
    """Tell how far an answer's task is: an end counts wherever it is told, a success where it is told innermost."""
    found = [stage for place in places(answer) if (stage := _stage_at(place))]
    for end in (Stage.REFUSED, Stage.GONE, Stage.FAILED):
        if end in found:
            return end
    return found[-1] if found else Stage.GOING


def has_status(answer: dict[str, Json]) -> bool:
    """Tell whether an answer says how far its task is, in whatever word."""
    return any(_stage_at(place) for place in places(answer))


def places(answer: dict[str, Json]) -> list[dict[str, Json]]:
    """List the objects of an answer that may speak of its task: the answer itself, then what it wraps."""
    wrapped = (items(answer.get(name)) for name in _INSIDE)
    return [answer, *(mapping(found[0]) for found in wrapped if len(found) == 1 and mapping(found[0]))]


def stage(word: str) -> Stage:
    """Look a status word up, however it is spelt: `Task not found`, `JOB_STATE_SUCCEEDED`, `requestModerated`."""
    if is_refused(code=word):
        return Stage.REFUSED
    parts = _plain(word).split()
    spelt = "_".join(part for part in parts if part not in _FILLERS)
    return next((stage for stage, words in _WORDS.items() if spelt in words), Stage.GOING)


def is_lost(*said: Json) -> bool:
    """Tell whether words about an error mean that the vendor does not have the task any more."""
    words = _plain(" ".join(texts(*said)))
    return bool(_LOST.search(words)) and " model" not in f" {words}"


def _stage_at(place: dict[str, Json]) -> Stage | None:
    word = next(texts(*(place.get(name) for name in _KEYS)), "")
    return stage(word) if word else None


def _plain(words: str) -> str:
    """Write words apart and in lower case."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", words[:_MAX_CHARS])
    return re.sub(r"[\W_]+", " ", apart).lower().strip()
