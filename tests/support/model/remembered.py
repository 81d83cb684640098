"""What is remembered of ended jobs, as plain lists: which job is forgotten next, and which marks of gone jobs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

MOST_KEPT = 1  # ended jobs of an owner, and marks
HEADS = 10  # that are looked at in one go
KEY_MS = 86_400_000  # for which the key of a forgotten job is known at most

Mark = tuple[str, str]  # "idem" and a key, or "deleted" and a job


class Remembered:
    """Each owner's ended jobs and marks, the oldest first."""

    def __init__(self) -> None:
        self.jobs: dict[str, list[str]] = defaultdict(list)
        self.marks: dict[str, list[Mark]] = defaultdict(list)

    def tidy(self, owner: str, *, is_there: Callable[[str | Mark], bool]) -> None:
        """Leave those out that have expired, as far as they stand first."""
        for line in (self.jobs[owner], self.marks[owner]):
            for _ in range(HEADS):
                if line and not is_there(line[0]):
                    del line[0]

    def too_many(self, owner: str) -> list[str]:
        """Take the jobs out that have to go, so that there is room for one more."""
        jobs = self.jobs[owner]
        most = max(0, len(jobs) - MOST_KEPT + 1)
        self.jobs[owner] = jobs[most:]
        return jobs[:most]

    def too_many_marks(self, owner: str) -> list[Mark]:
        """Take the marks out that have to go."""
        marks = self.marks[owner]
        most = max(0, len(marks) - MOST_KEPT)
        self.marks[owner] = marks[most:]
        return marks[:most]

    def drop(self, owner: str, job_id: str) -> None:
        """Leave a job out that was deleted."""
        self.jobs[owner] = [other for other in self.jobs[owner] if other != job_id]
