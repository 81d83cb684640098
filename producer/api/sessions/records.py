"""What all gateways know of MCP sessions: whose they are, and when each was used last.

A session that is known here is built again by whichever gateway its client comes to.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from redis.asyncio import Redis

from contract.redis.client import reaching_redis
from contract.store.keys import digest, owner_key
from contract.store.scripts import Scripts
from producer.client.redis_deadline import redis_deadline

IDLE_S = 1800.0  # a client whose session has ended opens another one
MOST_OF_OWNER = 16
BUSY_S = 30.0  # a session that is in use counts as such for so long, unless that is told again
IN_USE = -1.0


class SessionRecords:
    """The records of one gateway process beside those of the others. Everything may raise Unavailable."""

    def __init__(self, redis: Redis, *, most_of_owner: int = MOST_OF_OWNER) -> None:
        self._redis = redis
        self._gateway = uuid.uuid4().hex[:16]
        self._idle_ms = int(IDLE_S * 1000)
        self.most_of_owner = most_of_owner
        self._run = Scripts(redis, ("mcp/sessions",)).run

    async def tell(self, owner: str, idle_s: Mapping[str, float], *, opened: str = "") -> tuple[bool, set[str]]:
        """Tell for how long an owner's sessions here have been idle, or that they are IN_USE, and open another one.

        Answer whether it may be opened, and the digests of sessions that are gone.
        """
        ages = {digest(name): -1 if age_s < 0 else int(age_s * 1000) for name, age_s in idle_s.items()}
        async with redis_deadline():
            is_open, *gone = await self._run(
                "mcp/sessions",
                digest(owner),
                self._gateway,
                self._idle_ms,
                int(BUSY_S * 1000),
                self.most_of_owner,
                digest(opened) if opened else "",
                *(part for age in ages.items() for part in age),
            )
        return bool(is_open), {str(name) for name in gone}

    async def knows(self, owner: str, session_id: str) -> bool:
        """Tell whether an owner has a session, at whichever gateway."""
        async with redis_deadline(), reaching_redis():
            return await self._redis.zscore(owner_key(owner, "sessions"), digest(session_id)) is not None

    async def end(self, owner: str, session_id: str) -> None:
        """Forget a session."""
        async with redis_deadline(), reaching_redis():
            await self._redis.zrem(owner_key(owner, "sessions"), digest(session_id))
