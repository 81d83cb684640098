"""A job's state and events in words, the same on every face."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from contract.errors.catalogue.provider import PROVIDER_RATE_LIMITED, RESULT_EXPIRED, RESULT_UNREACHABLE
from contract.errors.catalogue.table import look_up
from contract.jobs.duration import duration
from contract.jobs.job import Attempt, Degraded, JobEvent, JobState, Outcome, Rendition

_STATES = {
    JobState.CANCELLED: "Cancelled.",
    JobState.EXPIRED: "Not finished before its deadline.",
    JobState.FAILED: "No image could be made.",
}
_EVENTS = {
    "attempt": "Asking {provider} for image {image} at {image_size}{quality}.",
    "image": "Image {image} is there.",
    "queued": "Queued.",
    "running": "Started.",
}
_OUTCOMES = {
    Outcome.TIMEOUT: "timed out after {seconds:.0f} s",
    Outcome.INTERRUPTED: "was cut off",
    Outcome.RATE_LIMITED: "is rate limited",
    Outcome.LOST: "was lost with its worker",
    Outcome.CANCELLED: "was given up",
    Outcome.REJECTED: "was refused",
}

_ERRORS = {
    RESULT_EXPIRED.code: "was lost before it could be fetched",
    RESULT_UNREACHABLE.code: "could not be fetched",
}


def progress(state: JobState, *, done: int, count: int, position: int | None, note: str) -> str:
    """Say in one line how far a job is; nothing in it is a guess."""
    if state in _STATES:
        return _STATES[state]
    images = f"{done} of {count} image{'s' if count > 1 else ''} made"
    if state is JobState.SUCCEEDED:
        return f"{images}."
    if state is JobState.RUNNING:
        return f"{images}; {note}" if note else f"{images}."
    if note:
        return note
    if position is None:
        return "Queued."
    return "Queued, next in line." if position == 0 else f"Queued, {position} ahead."


def rendition(made: Rendition, *, beside: Rendition) -> str:
    """Name what is different about one rendition beside another, as in "1K, low quality"."""
    parts = [] if made.image_size == beside.image_size else [made.image_size]
    if made.quality != beside.quality and made.quality:
        parts.append(f"{made.quality} quality")
    if made.model != beside.model:
        parts.append(made.model)
    if made.provider != beside.provider:
        parts.append(made.provider)
    if made.aspect_ratio != beside.aspect_ratio and made.aspect_ratio and beside.aspect_ratio not in (None, "auto"):
        parts.append(made.aspect_ratio)
    return ", ".join(parts) or made.image_size


def arrived(index: int, *, asked_for: int, unused: int) -> str:
    """Tell of an image what its event does not: that another one's call brought it, or more than was needed."""
    there = f"Image {index + 1} is there"
    if asked_for != index:
        return f"{there}: it came in the answer for image {asked_for + 1}."
    others = "1 more image" if unused == 1 else f"{unused} more images"
    return f"{there}; {others} of its answer could not be used." if unused else ""


def beside(attempt: Attempt) -> str:
    """Tell of an image that a call for another one has brought it."""
    return f"It came in the answer for image {attempt.index + 1}."


def unused(many: int) -> str:
    """Write how many images of responses were not used; empty if none."""
    if many < 1:
        return ""
    pictures = "1 more image of an answer was" if many == 1 else f"{many} more images of the answers were"
    return f"{pictures} not used."


def unfetched(attempt: Attempt, code: str, *, among: int = 1) -> str:
    """Say that what a call has made cannot be fetched yet, and why."""
    image = f"Image {attempt.index + 1}: w" if among > 1 else "W"
    why = look_up(code).title.lower()
    return f"{image}hat {attempt.provider} has made cannot be fetched yet ({why}); retrying until the deadline"


def failed(attempt: Attempt, *, among: int = 1) -> str:
    """Say how an attempt ended, as in "2K timed out after 120 s"; `among` several images it names its own."""
    title = look_up(attempt.error).title.lower() if attempt.error else "no reason given"
    told = _ERRORS.get(attempt.error or "") or _OUTCOMES.get(attempt.outcome, "failed ({title})")
    words = told.format(seconds=attempt.seconds or 0, title=title)
    image = f"image {attempt.index + 1}: " if among > 1 else ""
    return f"{image}{attempt.image_size} {words}"


def reasons(history: Iterable[Attempt]) -> str:
    """Say why the first rungs did not deliver, as in "2K timed out after 120 s (2 times)"."""
    told = Counter(failed(attempt) for attempt in history if attempt.outcome is not Outcome.DELIVERED)
    return "; ".join(words if times == 1 else f"{words} ({times} times)" for words, times in told.items())


def unlike(attempt: Attempt, width: int, height: int, aspect_ratio: str) -> str:
    """Say how a picture is not as asked for, as in "openrouter made 256x256 pixels instead of 4K at 21:9"."""
    asked = " at ".join(word for word in (attempt.image_size, aspect_ratio) if word != "auto")
    return f"{attempt.provider} made {width}x{height} pixels instead of {asked}"


def degraded(what: Degraded) -> str:
    """Tell what was delivered instead, as in "Delivered at 1K: 2K timed out after 120 s"."""
    return f"Delivered at {rendition(what.delivered, beside=what.requested)}: {what.reason}"


def told(event: JobEvent) -> str:
    """Say what an event means, in one line."""
    if event.text:
        return event.text if event.text.endswith(".") else f"{event.text}."
    if event.type in _STATES:
        return _STATES[JobState(event.type)]
    words = _EVENTS.get(event.type, "Done." if event.is_last else event.type)
    return words.format_map(_values(event.model_extra or {}))


def _values(more: Mapping[str, Any]) -> dict[str, object]:
    """Fill in what the words of an event may name; events of other versions may lack some of it."""
    quality = f", {more['quality']} quality" if more.get("quality") else ""
    known = {name: more.get(name, "") for name in ("provider", "image_size")}
    return {**known, "image": int(more.get("index", 0)) + 1, "quality": quality}


def waiting(provider: str, code: str, seconds: float) -> str:
    """Say what a job waits for; without a code a provider only has no free place."""
    if not code:
        return f"Waiting for a free place at {provider}."
    if code == PROVIDER_RATE_LIMITED.code:
        return f"Waiting {duration(seconds)}: {provider} takes no more calls now."
    return f"{unavailable(provider)}, trying again in {duration(seconds)}."


def unavailable(provider: str) -> str:
    """Say that a provider is left alone for a while."""
    return f"{provider} is unavailable"
