"""A page of a list of jobs: how many there is room for, and where the next page begins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from sys import getsizeof

from contract.errors.catalogue.request import CURSOR_INVALID
from contract.errors.exceptions import Refused
from contract.jobs.job import Job

CURSOR_PATTERN = "[0-9]{1,15}:[0-9a-f-]{36}"
PAGE_BYTES = 2**20  # of a page, if it has more than one job
FEW = 8  # jobs that are read before it is known how large they are

_CURSOR = re.compile(CURSOR_PATTERN)


@dataclass(slots=True)
class Page:
    """The jobs of one page: at most `limit`, and at most PAGE_BYTES, but the first however large it is."""

    limit: int
    jobs: list[Job] = field(default_factory=list)
    is_full: bool = False
    _left: int = field(default_factory=lambda: PAGE_BYTES)
    _largest: int = 0
    _few: int = FEW

    def next_part(self) -> int:
        """Tell how many jobs to read next, so that few large ones are read in vain; more while there are none."""
        room = self._left // self._largest if self._largest else self._few
        self._few *= 2
        return max(1, min(self.limit - len(self.jobs), room))

    def has_room(self, fields: Mapping[str, str]) -> bool:
        """Count the bytes of a job's fields, if there is room for them; else the page is full."""
        size = sum(map(getsizeof, fields.values()))
        if self._largest and size > self._left:
            self.is_full = True
            return False
        self._largest = max(self._largest, size)
        self._left -= size
        return True

    def add(self, job: Job) -> None:
        """Add a job that there is room for."""
        self.jobs.append(job)
        self.is_full = len(self.jobs) == self.limit


def cursor_after(job_id: str, accepted_ms: float) -> str:
    """Name the place behind a job."""
    return f"{accepted_ms:.0f}:{job_id}"


def read_cursor(cursor: str) -> tuple[float, str]:
    """Read the moment, in milliseconds, and the id of the job before a page. Raises Refused (`cursor_invalid`)."""
    if not _CURSOR.fullmatch(cursor):
        raise Refused(CURSOR_INVALID)
    accepted_ms, _, job_id = cursor.partition(":")
    return float(accepted_ms), job_id
