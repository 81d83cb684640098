"""Which version this is, and the number of the contract that it keeps with other versions on one Redis.

The number stands in each job, each bell and each worker's sign of life. It is raised by a version that accepts jobs
which older workers would do wrongly; what has none is older than the first one. A worker does jobs of its own number
and of all lower ones. Jobs with a higher one it leaves: their bells lie in lists that it does not listen to.
"""

from __future__ import annotations

import logging
from functools import cache
from importlib.metadata import PackageNotFoundError, version

CONTRACT = 1

logger = logging.getLogger(__name__)


@cache
def own_version() -> str:
    """Name the version that is installed."""
    try:
        return version("nanobot-darkroom")
    except PackageNotFoundError:  # it runs from its sources
        return "unknown"


class Newer:
    """Tells of jobs that need a newer worker: one line for each contract number, however many they are."""

    def __init__(self) -> None:
        self._told: set[int] = set()

    def leave(self, number: int, job_id: str) -> None:
        """Tell that a job is left to newer workers."""
        if number not in self._told:
            self._told.add(number)
            logger.warning(
                "job %s needs contract %s, and this worker has %s: it leaves such jobs in the queue. "
                "Update this worker, or keep one of the newer version running",
                *(job_id, number, CONTRACT),
                extra={"job_id": job_id},
            )
