"""A bound for the log: of each kind of line so many a minute, then one line that says how many were left out.

Strangers and owners can provoke lines: refusals, requests that are no HTTP, errors. None of them fills the log.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

MINUTE_S = 60.0
MOST_INFO = 3_000  # jobs that are accepted and ended are a line each, and have rates of their own
MOST_OTHER = 120
MOST_TRACEBACKS = 20
MOST_KINDS = 500

_VARIES = re.compile(r"0x[0-9a-f]+|\d+")


class Kind(NamedTuple):
    """What lines have in common: their logger, level, words without what is filled in, and kind of exception."""

    logger: str
    level: int
    words: str = ""
    exception: str = ""

    @property
    def most(self) -> int:
        """Tell how many there may be in a minute."""
        if self.exception:
            return MOST_TRACEBACKS
        return MOST_INFO if self.level < logging.WARNING else MOST_OTHER


def kind_of(record: logging.LogRecord) -> Kind:
    """Tell the kind of a line; numbers do not count."""
    exception = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
    return Kind(record.name, record.levelno, _VARIES.sub("#", str(record.msg)[:200]), exception)


@dataclass(slots=True)
class _Minute:
    """The lines of one kind since some moment."""

    begun: float
    written: int = 0
    left_out: int = 0


class LogBudget:
    """How many lines of each kind there were."""

    def __init__(self) -> None:
        self._minutes: dict[Kind, _Minute] = {}  # the first has begun first

    def count(self, kind: Kind, now: float) -> bool:
        """Count a line; tell whether it may be written."""
        if kind not in self._minutes and len(self._minutes) >= MOST_KINDS:
            kind = Kind(kind.logger.partition(".")[0], kind.level)
        minute = self._minutes.setdefault(kind, _Minute(now))
        if minute.written < kind.most:
            minute.written += 1
            return True
        minute.left_out += 1
        return False

    def take_ended(self, now: float) -> Iterator[tuple[Kind, int]]:
        """Forget minutes that are over; list how many lines were left out in them."""
        while self._minutes:
            kind, minute = next(iter(self._minutes.items()))
            if now - minute.begun < MINUTE_S:
                return
            del self._minutes[kind]
            if minute.left_out:
                yield kind, minute.left_out


class BoundedHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes lines as far as the budget goes."""

    def __init__(self) -> None:
        super().__init__()
        self._budget = LogBudget()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, and before it what was left out in minutes that are over."""
        now = time.monotonic()
        self._tell(now)
        if self._budget.count(kind_of(record), now):
            super().emit(record)

    def close(self) -> None:
        """Tell what was left out up to now."""
        self._tell(float("inf"))
        super().close()

    def _tell(self, now: float) -> None:
        for kind, number in self._budget.take_ended(now):
            words = "%d more lines were left out, as there were %d in a minute: %s"
            told = number, kind.most, kind.words or kind.exception or "of many kinds"
            super().emit(logging.LogRecord(kind.logger, kind.level, "", 0, words, told, None))
