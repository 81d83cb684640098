"""The chat outbox: messages that a chat gateway still has to write when jobs end, each sent at least once.

A message is put in when its job is submitted, and held back while the chat's own turn waits for the job. A
process that takes one has it for a lease's time: if it dies then, the message is taken once more, and never a third
time. What a channel has not taken is put back.
"""

from __future__ import annotations

from redis.asyncio import Redis

from contract.redis.client import reaching_redis
from contract.store.keys import digest, job_key, mail_key, memo_key
from contract.store.scripts import Scripts

LEASE_S = 60.0
MOST_TRIES = 2
NOTE_S = 7 * 86_400


class ChatOutbox:
    """The messages of one chat gateway, and what its chats are to be told on their next turn."""

    def __init__(self, redis: Redis, name: str) -> None:
        self.name = name
        self._redis = redis
        self._run = Scripts(redis, ("chat_outbox/take", "chat_outbox/put_back", "chat_outbox/close")).run

    async def due(self) -> dict[str, str]:
        """List the jobs whose messages are neither held back nor taken, and their routes. Raises Unavailable."""
        async with reaching_redis():
            seconds, micros = await self._redis.time()
            now = 1000 * seconds + micros / 1000
            ids = [str(job_id) for job_id in await self._redis.zrangebyscore(self._key, "-inf", now)]
            pipe = self._redis.pipeline(transaction=False)
            for job_id in ids:
                pipe.hget(job_key(job_id), "route")
            routes = await pipe.execute()
        return {job_id: str(route or "") for job_id, route in zip(ids, routes, strict=True)}

    async def let_go(self, job_id: str) -> None:
        """Hold a message back no longer. Raises Unavailable."""
        async with reaching_redis():
            await self._redis.zadd(self._key, {job_id: 0}, xx=True)

    async def take(self, job_id: str, taking: str, *, lease_s: float = LEASE_S) -> bool:
        """Take an ended job's message to send it now; tell whether there is one to be sent. Raises Unavailable.

        `taking` is a text that is used once: by it the same taking is known, if its answer was lost.
        """
        return bool(await self._run("chat_outbox/take", self.name, job_id, int(lease_s * 1000), MOST_TRIES, taking))

    async def put_back(self, job_id: str, taking: str, *, wait_s: float) -> None:
        """Put a message back that its channel has not taken. Raises Unavailable."""
        await self._run("chat_outbox/put_back", self.name, job_id, int(wait_s * 1000), taking)

    async def has(self, job_id: str) -> bool:
        """Tell whether a job's message is still to be sent, or being sent. Raises Unavailable."""
        async with reaching_redis():
            return await self._redis.zscore(self._key, job_id) is not None

    async def close(self, job_id: str, *, session: str = "", note: str = "") -> bool:
        """Remove a message; tell whether no process had taken it to send it. Raises Unavailable.

        With a note, its session gets that note on its next turn.
        """
        named = digest(session) if note else ""
        return bool(await self._run("chat_outbox/close", self.name, job_id, named, note, NOTE_S * 1000))

    async def notes(self, session: str) -> list[str]:
        """Take the notes for a session's next turn; each is returned once, twice if an answer is lost.

        Raises Unavailable.
        """
        key = memo_key(self.name, session)
        async with reaching_redis():
            found = [str(note) for note in await self._redis.lrange(key, 0, -1)]
            pipe = self._redis.pipeline(transaction=False)  # a full Redis refuses transactions
            for note in found:  # they are known, so their removal may be repeated
                pipe.lrem(key, 1, note)
            await pipe.execute()
        return found

    @property
    def _key(self) -> str:
        return mail_key(self.name)
