"""When queued jobs may be expected, by figures that are a second old at most: many look, and they hardly change."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from statistics import quantiles

from contract.store.job_reader import JobReader, Pace
from producer.client.redis_deadline import redis_deadline

FRESH_S = 1.0
MOST_KINDS = 1000  # that are remembered
LEAST = 3  # durations; fewer say nothing


class EtaCache:
    """Knows the pace of each kind of job for a second."""

    def __init__(self, store: JobReader) -> None:
        self._store = store
        self._known: dict[str, tuple[float, Pace]] = {}

    async def expectations(self, places: Mapping[str, tuple[str, int]]) -> dict[str, tuple[int, int] | None]:
        """Tell by their ids in how many seconds jobs will be done, at least and at most, if that can be known.

        Each is given with its kind and how many jobs are before it. Raises Unavailable.
        """
        now = time.monotonic()
        kinds = {kind for kind, _ in places.values()}
        stale = [kind for kind in kinds if self._known.get(kind, (0.0,))[0] <= now]
        if stale:
            if len(self._known) > MOST_KINDS:
                self._known.clear()
            async with redis_deadline():
                paces = await self._store.pace(stale)
            self._known |= {kind: (now + FRESH_S, pace) for kind, pace in paces.items()}
        return {job_id: expected(self._known[kind][1], position) for job_id, (kind, position) in places.items()}


def expected(pace: Pace, position: int) -> tuple[int, int] | None:
    """Tell in how many whole seconds a queued job will be done, at least and at most; None if that is unknown.

    Slots take jobs in the order of the queue, and each takes about as long as one of its kind. All jobs that are
    running or stand before this one fill (running + position) // slots whole rounds; the job itself is one more:

        low, high = (rounds + 1) * the quartiles (25 %, 75 %) of the durations that were measured
    """
    if len(pace.durations_s) < LEAST or pace.slots < 1:
        return None
    rounds = (pace.running + position) // pace.slots + 1
    low, _, high = quantiles(pace.durations_s, n=4, method="inclusive")
    return math.floor(max(low, 0) * rounds), math.ceil(max(high, 0) * rounds)
