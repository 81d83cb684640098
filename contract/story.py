"""A job's state and events in words, the same on every face."""

from __future__ import annotations

from contract.job import Attempt, Degraded, JobState, Outcome, Rendition

_STATES = {
    JobState.CANCELLED: "Cancelled.",
    JobState.EXPIRED: "Not finished in the time it had.",
    JobState.FAILED: "No image could be made.",
}
_OUTCOMES = {
    Outcome.TIMEOUT: "timed out after {seconds:.0f} s",
    Outcome.INTERRUPTED: "was cut off",
    Outcome.RATE_LIMITED: "is rate limited",
    Outcome.LOST: "was lost with its worker",
    Outcome.CANCELLED: "was given up",
    Outcome.REJECTED: "was refused",
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


def rendition(knobs: Rendition, *, beside: Rendition) -> str:
    """Name what is different about one rendition beside another, as in "1K, low quality"."""
    parts = [] if knobs.image_size == beside.image_size else [knobs.image_size]
    if knobs.quality != beside.quality and knobs.quality:
        parts.append(f"{knobs.quality} quality")
    if knobs.model != beside.model:
        parts.append(knobs.model)
    if knobs.provider != beside.provider:
        parts.append(knobs.provider)
    return ", ".join(parts) or knobs.image_size


def failed(attempt: Attempt) -> str:
    """Say how an attempt ended, as in "2K timed out after 120 s"."""
    words = _OUTCOMES.get(attempt.outcome, "failed").format(seconds=attempt.seconds or 0)
    return f"{attempt.image_size} {words}"


def degraded(what: Degraded) -> str:
    """Tell what was delivered instead, as in "Delivered at 1K: 2K timed out after 120 s"."""
    return f"Delivered at {rendition(what.delivered, beside=what.requested)}: {what.reason}"
