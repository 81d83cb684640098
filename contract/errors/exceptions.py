"""What can go wrong, as one tree of exceptions; `contract/errors/catalogue/table.py` has the words for each code.

DarkroomError
├── Refused             the caller has to change the request or the configuration
│   └── ConfigInvalid   all problems of a configuration at once
├── Unavailable         the queue cannot be used now: nothing is lost, try again
└── ProviderError       what a provider did: only the worker knows these (`worker/answers/errors.py`)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contract.errors.catalogue.configuration import CONFIG_INVALID
from contract.errors.catalogue.queue import QUEUE_UNAVAILABLE
from contract.errors.kind import ErrorKind


class DarkroomError(Exception):
    """Something went wrong that has a code and a sentence for people."""

    def __init__(self, kind: ErrorKind, **values: object) -> None:
        self.kind = kind
        self.code = kind.code
        self.values = values
        self.detail = " ".join(self.kind.sentence.format_map(values).split())
        super().__init__(self.detail)

    @property
    def retryable(self) -> bool:
        """Tell whether the same request may succeed later."""
        return self.kind.retryable


class Refused(DarkroomError):
    """The request or the configuration has to be changed by the caller."""

    place: tuple[str | int, ...] = ()  # where in the request, as keys and indexes
    others: tuple[Refused, ...] = ()  # other problems of the same request

    def at(self, *place: str | int) -> Refused:
        """Tell where in the request the problem is."""
        self.place = place
        return self


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a configuration: where, and what to do."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class ConfigInvalid(Refused):
    """The configuration has problems; all of them are listed, none shows a secret."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(CONFIG_INVALID, problems="; ".join(str(problem) for problem in self.problems))


class Unavailable(DarkroomError):
    """Redis does not answer in time, refuses, or is full; whatever was accepted is still there."""

    def __init__(self, kind: ErrorKind = QUEUE_UNAVAILABLE, **values: object) -> None:
        super().__init__(kind, **values)
