"""What is said of one error, whatever it concerns."""

from __future__ import annotations

from dataclasses import dataclass

from contract.errors.template import Sentence


@dataclass(frozen=True, slots=True)
class Kind:
    """One error code: its title, HTTP status, whether trying again may help, its sentence.

    `mend` says what its reader can do, unless the sentence has already said it.
    """

    title: str
    status: int
    retryable: bool
    sentence: Sentence
    mend: str = ""


def lasting(title: str, sentence: str, mend: str = "", *, status: int = 422) -> Kind:
    """Make a kind of error that stays until somebody changes something."""
    return Kind(title, status, False, Sentence(sentence), mend)


def passing(title: str, sentence: str, mend: str = "", *, status: int = 502) -> Kind:
    """Make a kind of error that may be gone next time."""
    return Kind(title, status, True, Sentence(sentence), mend)
