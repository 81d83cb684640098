"""Cancellations of MCP calls: a client may tell another gateway than the one that serves its call.

So they are told to all gateways over the channel of jobs' news, once, under a digest that only names session and call.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from redis.asyncio import Redis

from contract.errors.exceptions import Unavailable
from contract.redis.client import reaching_redis
from contract.store.keys import EVENTS_CHANNEL, digest
from producer.client.redis_deadline import redis_deadline
from producer.client.subscriber import JobSubscriber

CallId = str | int


class Cancellations:
    """Tells and hears which calls are cancelled."""

    def __init__(self, redis: Redis, subscriber: JobSubscriber) -> None:
        self._redis = redis
        self._subscriber = subscriber

    async def tell(self, session_id: str, call: CallId) -> None:
        """Tell all gateways that a call is cancelled; while Redis is away, nobody hears it."""
        with suppress(Unavailable):
            async with redis_deadline(), reaching_redis():
                await self._redis.publish(EVENTS_CHANNEL, _name(session_id, call))

    @asynccontextmanager
    async def heard(self, session_id: str, call: CallId, cancel: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
        """Let a call be cancelled while it lasts."""

        async def hear() -> None:
            with self._subscriber.signal(_name(session_id, call)) as signal:
                await signal.wait()
                await cancel()

        hearing = asyncio.create_task(hear())
        try:
            yield
        finally:
            hearing.cancel()


def _name(session_id: str, call: CallId) -> str:
    return "mcp:" + digest(json.dumps([session_id, str(call)]))  # the SDK takes 7 and "7" for one
