"""What an owner asked for of late: for clients that repeat a request without a key that says so.

It is kept in Redis, as a client also repeats what it asked a process that is gone.
"""

from __future__ import annotations

import secrets
from contextlib import suppress

from contract.errors.exceptions import Refused
from contract.jobs.job import Job, JobState
from contract.store.producer_store import ProducerStore
from producer.client.redis_deadline import redis_deadline

REMEMBERED_S = 600.0
_MARK = "again-"  # no id of a job begins like that


class RecentRequests:
    """Remembers which job a request of one owner was answered with."""

    def __init__(self, store: ProducerStore, *, owner: str) -> None:
        self._store = store
        self._owner = owner

    async def note(self, what: str, job: Job, *, for_s: float = REMEMBERED_S) -> None:
        """Remember for a while which job a request was answered with. Raises Unavailable."""
        async with redis_deadline():
            await self._store.note_recent(self._owner, what, job.id, for_s=for_s)

    async def find(self, what: str) -> Job | None:
        """Find the job that an equal request was answered with, unless that was cancelled. Raises Unavailable."""
        async with redis_deadline():
            found = await self._store.recent(self._owner, what)
            return await self._job(found) if found else None

    async def begin(self, what: str, *, for_s: float) -> Job | str:
        """Find the job of an equal request, or make an idempotency key for this one, which is remembered for a while.

        Equal ones that come before its job is noted get the same key. Raises Unavailable.
        """
        mark = _MARK + secrets.token_hex(12)
        async with redis_deadline():
            found = await self._store.begin_recent(self._owner, what, mark, for_s=for_s)
            return found if found.startswith(_MARK) else await self._job(found) or mark

    async def _job(self, found: str) -> Job | None:
        """Look at a job that was remembered, unless it is only the mark of one, gone, or cancelled."""
        if found.startswith(_MARK):
            return None
        with suppress(Refused):
            job = await self._store.get(found, owner=self._owner)
            return None if job.state is JobState.CANCELLED else job
        return None

    async def forget(self, what: str) -> None:
        """Forget a request that was refused. Raises Unavailable."""
        async with redis_deadline():
            await self._store.forget_recent(self._owner, what)
