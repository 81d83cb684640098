"""What an owner asked for of late: for clients that repeat a request without an idempotency key.

An idempotency key is the one way to say that two requests are the same. Where a client has none, this makes one of the
request for a short while. It is kept in Redis, as a client also repeats what it asked a process that is gone.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress

from contract.errors.exceptions import Refused, Unavailable
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

    async def look(self, what: str) -> Job | None:
        """Find the job that an equal request was answered with, also if that was cancelled. Raises Unavailable."""
        async with redis_deadline():
            if found := await self._store.recent(self._owner, what):
                with suppress(Refused):
                    return await self._store.get(found, owner=self._owner)
        return None

    async def take(self, what: str) -> Job | None:
        """Find it, and forget it. Raises Unavailable."""
        if found := await self.look(what):
            await self._forget(what)
        return found

    async def once(
        self, what: str, accept: Callable[[str], Awaitable[tuple[Job, bool]]], *, for_s: float
    ) -> tuple[Job, bool]:
        """Submit a job unless an equal request is remembered: then find its job. Tell whether that was so.

        `accept` submits it with an idempotency key. Equal requests that come before it has answered have the same
        key, so they mean the same job. One that is refused is forgotten. Raises Refused, Unavailable.
        """
        begun = await self._begin(what, for_s=for_s)
        if isinstance(begun, Job):
            return begun, True
        try:
            accepted = await accept(begun)
        except Refused:
            with suppress(Unavailable):
                await self._forget(what)
            raise
        with suppress(Unavailable):  # it is accepted: an error would bring it once more
            await self.note(what, accepted[0], for_s=for_s)
        return accepted

    async def _begin(self, what: str, *, for_s: float) -> Job | str:
        """Find the job of an equal request, or the idempotency key of one that has begun: else make one."""
        mark = _MARK + secrets.token_hex(12)
        async with redis_deadline():
            found = await self._store.begin_recent(self._owner, what, mark, for_s=for_s)
            return found if found.startswith(_MARK) else await self._job(found) or mark

    async def _forget(self, what: str) -> None:
        async with redis_deadline():
            await self._store.forget_recent(self._owner, what)

    async def _job(self, found: str) -> Job | None:
        """Look at a job that was remembered, unless it is only the mark of one, gone, or cancelled."""
        if found.startswith(_MARK):
            return None
        with suppress(Refused):
            job = await self._store.get(found, owner=self._owner)
            return None if job.state is JobState.CANCELLED else job
        return None
