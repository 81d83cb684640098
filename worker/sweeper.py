"""The sweeper: rings lost doorbells, ends dead leases, expires jobs. One is active at a time.

A lease looks dead when its worker is, but also when Redis was away from everybody. So a sweeper
judges leases only after it has reached Redis without a gap for half a lease's time: by then every
living worker has renewed.
"""

from __future__ import annotations

import asyncio
import logging
import time

from contract.errors import Unavailable
from contract.store import JobStore

SWEEP_S = 1.0
LOCK_S = 5.0
BELL_S = 2.0  # a bell that nobody answered is rung again after this, then twice as long, …

logger = logging.getLogger(__name__)


class Sweeper:
    """One worker's part in sweeping."""

    def __init__(self, store: JobStore, *, worker: str, lease_s: float) -> None:
        self._store = store
        self._worker = worker
        self._patience_s = lease_s / 2

    async def sweep(self) -> None:
        """Sweep for ever."""
        reached_since = last = time.monotonic()
        while True:
            now = time.monotonic()
            if now - last > 3 * SWEEP_S:  # this process or its Redis stood still
                reached_since = now
            last = now
            try:
                rung = await self._store.sweep(
                    self._worker,
                    judge_leases=now - reached_since >= self._patience_s,
                    lock_s=LOCK_S,
                    bell_s=BELL_S,
                )
                if rung:
                    logger.info("rang %s bells again", rung)
            except Unavailable:
                reached_since = time.monotonic()
            await asyncio.sleep(SWEEP_S)
