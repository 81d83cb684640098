"""When queued jobs may be expected, by figures that are a second old at most: many look, and they hardly change."""

from __future__ import annotations

import time
from collections.abc import Mapping

from contract.jobs.eta import Pace
from contract.store.producer_store import ProducerStore
from producer.client.redis_deadline import redis_deadline

FRESH_S = 1.0
MOST_KINDS = 1000  # that are remembered


class EtaCache:
    """Knows the pace of each kind of job for a second."""

    def __init__(self, store: ProducerStore) -> None:
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
        return {job_id: self._known[kind][1].expected(position) for job_id, (kind, position) in places.items()}
