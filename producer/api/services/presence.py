"""Presence: for which jobs clients wait, at any gateway; kept in Redis, as a client may come back to another one.

Each gateway notes its own clients for some time, and renews that. A note that has run out belongs to a gateway that is
gone; it is judged only when gateways have reached Redis for so long that each living one has renewed its own.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from redis.asyncio import Redis

from contract.redis.client import reaching_redis
from contract.store.keys import PRESENCE, presence_key
from contract.store.scripts import Scripts
from producer.client.redis_deadline import redis_deadline

RENEW_S = 10.0
RENEW_AGAIN_S = 1.0  # while Redis is away
LEAST_S = 30.0  # a note counts for: longer than RENEW_S, an outage of PATIENCE_S, and one more try to renew it
PATIENCE_S = 15.0
MOST = 200  # jobs in one go


class Presence:
    """The notes of one gateway process, beside those of the others. Everything may raise Unavailable."""

    def __init__(self, redis: Redis, *, patience_s: float = PATIENCE_S) -> None:
        self._redis = redis
        self._gateway = uuid.uuid4().hex[:16]
        self._patience_ms = int(patience_s * 1000)
        self._run = Scripts(redis, ("presence/note", "presence/leave", "presence/sweep")).run

    async def note(self, jobs: Mapping[str, float]) -> None:
        """Note that clients wait here for jobs, each for so many seconds from now on."""
        pairs = [(job_id, int(for_s * 1000)) for job_id, for_s in jobs.items()]
        for start in range(0, len(pairs), MOST):
            some = (part for pair in pairs[start : start + MOST] for part in pair)
            async with redis_deadline():
                await self._run("presence/note", self._gateway, *some)

    async def is_noted(self, job_id: str) -> bool:
        """Tell whether a job is cancelled when no client waits for it."""
        async with redis_deadline(), reaching_redis():
            return await self._redis.zscore(PRESENCE, job_id) is not None

    async def leave(self, job_id: str, *, goes_on: bool = False) -> bool:
        """Tell that nobody waits here for a job; cancel it unless it `goes_on`, or somebody waits elsewhere.

        Answer whether it was cancelled.
        """
        async with redis_deadline():
            return bool(await self._run("presence/leave", self._gateway, job_id, int(goes_on)))

    async def forget(self, job_id: str) -> None:
        """Let a job go on without anybody, wherever its clients wait."""
        async with redis_deadline(), reaching_redis():
            pipe = self._redis.pipeline(transaction=True)
            pipe.zrem(PRESENCE, job_id)
            pipe.delete(presence_key(job_id))
            await pipe.execute()

    async def sweep(self) -> list[str]:
        """Cancel the jobs that gateways which are gone have left; list them."""
        async with redis_deadline():
            return list(await self._run("presence/sweep", self._patience_ms, MOST))
