"""The kind of an error: its code, its words and its HTTP status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from contract.errors.template import MessageTemplate


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """One error code: its title, HTTP status, whether trying again may help, its sentence.

    `hint` says what the reader can do, unless the sentence already says it.
    """

    code: str
    title: str
    status: int
    retryable: bool
    sentence: MessageTemplate
    hint: str = ""


def permanent(code: str, title: str, sentence: str, hint: str = "", *, status: int = 422) -> ErrorKind:
    """Make a kind of error that stays until something is changed."""
    return ErrorKind(code, title, status, False, MessageTemplate(sentence), hint)


def temporary(code: str, title: str, sentence: str, hint: str = "", *, status: int = 502) -> ErrorKind:
    """Make a kind of error that a retry may get rid of."""
    return ErrorKind(code, title, status, True, MessageTemplate(sentence), hint)


def kinds_in(names: Mapping[str, object]) -> dict[str, ErrorKind]:
    """Find the kinds among a module's names, by their codes."""
    return {kind.code: kind for kind in names.values() if isinstance(kind, ErrorKind)}
