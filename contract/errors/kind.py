"""What is said of one error, whatever it concerns."""

from __future__ import annotations

from dataclasses import dataclass

from contract.errors.template import MessageTemplate


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """One error code: its title, HTTP status, whether trying again may help, its sentence.

    `mend` says what its reader can do, unless the sentence has already said it.
    """

    title: str
    status: int
    retryable: bool
    sentence: MessageTemplate
    mend: str = ""


def permanent(title: str, sentence: str, mend: str = "", *, status: int = 422) -> ErrorKind:
    """Make a kind of error that stays until somebody changes something."""
    return ErrorKind(title, status, False, MessageTemplate(sentence), mend)


def temporary(title: str, sentence: str, mend: str = "", *, status: int = 502) -> ErrorKind:
    """Make a kind of error that may be gone next time."""
    return ErrorKind(title, status, True, MessageTemplate(sentence), mend)
