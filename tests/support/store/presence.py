"""Presence without a Redis: what several gateways know of clients that wait, in one process."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from contract.errors.exceptions import Unavailable


class SharedNotes:
    """What is noted by all gateways, and which jobs were cancelled."""

    def __init__(self) -> None:
        self.notes: defaultdict[str, set[str]] = defaultdict(set)
        self.cancelled: list[str] = []
        self.is_away = False

    def of(self, gateway: str) -> MemoryPresence:
        """Build the part of one gateway."""
        return MemoryPresence(self, gateway)


class MemoryPresence:
    """The notes of one gateway; they never run out."""

    def __init__(self, shared: SharedNotes | None = None, gateway: str = "one") -> None:
        self.shared = shared or SharedNotes()
        self._gateway = gateway

    async def note(self, jobs: Mapping[str, float]) -> None:
        """Note that clients wait here."""
        self._reach()
        for job_id in jobs:
            self.shared.notes[job_id].add(self._gateway)

    async def is_noted(self, job_id: str) -> bool:
        """Tell whether clients wait anywhere."""
        self._reach()
        return bool(self.shared.notes[job_id])

    async def leave(self, job_id: str, *, goes_on: bool = False) -> bool:
        """Cancel a job that nobody waits for elsewhere."""
        self._reach()
        self.shared.notes[job_id].discard(self._gateway)
        if goes_on or self.shared.notes[job_id]:
            return False
        self.shared.cancelled.append(job_id)
        return True

    async def forget(self, job_id: str) -> None:
        """Forget who waits for a job."""
        self._reach()
        self.shared.notes[job_id].clear()

    async def sweep(self) -> list[str]:
        """Find nothing."""
        return []

    def _reach(self) -> None:
        if self.shared.is_away:
            raise Unavailable
