"""The sweeper: rings lost doorbells, ends dead leases, expires jobs. One is active at a time.

It judges leases only after Redis has been reached without a gap for half a lease's time: by then every
living worker has renewed. All sweepers' contacts count, so a worker that was just started need not wait.
"""

from __future__ import annotations

import asyncio
import logging

from contract.errors.exceptions import Unavailable
from contract.store.worker_store import WorkerStore

SWEEP_S = 1.0
LOCK_S = 2.0  # a killed sweeper holds the others up for so long
BELL_S = 2.0  # an unanswered doorbell is sent again after this, then twice as long, …

logger = logging.getLogger(__name__)


class Sweeper:
    """One worker's part in sweeping."""

    def __init__(self, store: WorkerStore, *, worker: str, lease_s: float) -> None:
        self._store = store
        self._worker = worker
        self._patience_s = lease_s / 2

    async def sweep(self) -> None:
        """Sweep for ever."""
        while True:
            try:
                rung = await self._store.sweep(self._worker, patience_s=self._patience_s, lock_s=LOCK_S, bell_s=BELL_S)
                if rung:
                    logger.debug("sent %s doorbells again", rung)  # also those of jobs whose wait is over
            except Unavailable:
                logger.debug("Redis is away; nothing is swept")
            await asyncio.sleep(SWEEP_S)
