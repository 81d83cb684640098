"""How long a queued job will still take, as far as its last kin and the slots there are can tell.

Slots take jobs in the order of the queue, and each takes about as long as one of its kind. All jobs that are
running or stand before this one fill (running + position) // slots whole rounds; the job itself is one more:

    low, high = (rounds + 1) * the quartiles (25 %, 75 %) of the durations that were measured
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles

LEAST = 3  # durations; fewer say nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast jobs of a kind are made: the last durations, the slots of living workers, the jobs that run."""

    durations_s: tuple[float, ...]
    slots: int
    running: int

    def expected(self, position: int) -> tuple[int, int] | None:
        """Tell in how many seconds a job with so many before it will be done, at least and at most, if it is known."""
        return expected(self.durations_s, position=position, slots=self.slots, running=self.running)


def expected(durations_s: Sequence[float], *, position: int, slots: int, running: int) -> tuple[int, int] | None:
    """Estimate in how many whole seconds a queued job will end, at least and at most; None if unknown."""
    if len(durations_s) < LEAST or slots < 1:
        return None
    rounds = (running + position) // slots + 1
    low, _, high = quantiles(durations_s, n=4, method="inclusive")
    return math.floor(max(low, 0) * rounds), math.ceil(max(high, 0) * rounds)
