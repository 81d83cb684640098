"""The leases of one worker: renewed together, every second; a lost one stops its job at once.

A cancelled job has lost its lease, so this is also how a worker hears of a cancel.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from contract.errors.exceptions import Unavailable
from contract.redis.failure import cause_of
from contract.store.lease import Lease, LeaseLost
from contract.store.worker_store import WorkerStore
from worker.execution.attempt_log import persist

RENEW_S = 1.0

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class HeldJob:
    """A job that runs here; `is_draining` once this worker wants to give it back.

    While it `is_concluding`, its end may be written and not answered yet: that its lease is gone is no reason to stop.
    """

    lease: Lease
    task: asyncio.Task[object]
    is_draining: bool = False
    is_concluding: bool = False


class Leases:
    """Keeps what this worker holds."""

    def __init__(self, store: WorkerStore, *, worker: str, lease_s: float, slots: int = 0) -> None:
        self._store = store
        self._worker = worker
        self._lease_s = lease_s
        self._slots = slots
        self._holds: dict[str, HeldJob] = {}
        self._is_closed = False
        self._away_since: float | None = None
        self._renewed_at = time.monotonic()

    @contextmanager
    def hold(self, lease: Lease) -> Iterator[HeldJob]:
        """Keep a lease alive while the current task works on its job."""
        task = asyncio.current_task()
        assert task is not None
        if lease.job_id in self._holds:
            self._holds[lease.job_id].task.cancel()  # its lease had ended, and came back to us
        hold = self._holds[lease.job_id] = HeldJob(lease, task)
        try:
            yield hold
        finally:
            if self._holds.get(lease.job_id) is hold:
                del self._holds[lease.job_id]

    async def keep(self) -> None:
        """Renew for ever. While Redis is away the running calls go on."""
        while True:
            try:
                await self._renew()
            except Unavailable as error:
                self._tell_away(error)
            else:
                self._tell_back()
            await asyncio.sleep(RENEW_S)

    async def confirm(self, lease: Lease) -> None:
        """Ask for a lease before a call, if this process has stood still since it renewed them. Raises LeaseLost."""
        if time.monotonic() - self._renewed_at < self._lease_s / 2:
            return
        if await persist(self._store.renew, self._worker, [lease], lease_s=self._lease_s, slots=self._slots):
            raise LeaseLost

    def _tell_away(self, error: Unavailable) -> None:
        if self._away_since is None:
            self._away_since = time.monotonic()
            says = cause_of(error.__cause__).says
            logger.warning("Redis is away: it %s; %s jobs go on without it", says, len(self._holds))

    def _tell_back(self) -> None:
        if self._away_since is not None:
            logger.info("Redis is back after %.0f s", time.monotonic() - self._away_since)
            self._away_since = None

    async def _renew(self) -> None:
        holds = dict(self._holds)
        leases = [hold.lease for hold in holds.values()]
        began = time.monotonic()
        lost = await self._store.renew(self._worker, leases, lease_s=self._lease_s, slots=self._slots)
        self._renewed_at = began
        for job_id in lost:
            if self._holds.get(job_id) is holds[job_id] and not holds[job_id].is_concluding:
                holds[job_id].task.cancel()

    def close(self) -> None:
        """Take no job any more, because this worker stops."""
        self._is_closed = True

    def is_closed(self) -> bool:
        """Tell whether this worker stops."""
        return self._is_closed

    def give_back(self) -> None:
        """Stop all jobs so that other workers can go on with them."""
        for hold in list(self._holds.values()):
            hold.is_draining = True
            hold.task.cancel()
