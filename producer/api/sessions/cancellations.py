"""Cancellations of MCP calls: a client may tell another gateway than the one that serves its call.

So they are told to all gateways over the channel of jobs' news, once, under a digest that only names session and call,
and whether the client has only stopped waiting.
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

    async def tell(self, session_id: str, call: CallId, *, has_timed_out: bool) -> None:
        """Tell all gateways that a call is cancelled; while Redis is away, nobody hears it."""
        with suppress(Unavailable):
            async with redis_deadline(), reaching_redis():
                await self._redis.publish(EVENTS_CHANNEL, _name(session_id, call, has_timed_out=has_timed_out))

    @asynccontextmanager
    async def heard(
        self, session_id: str, call: CallId, cancel: Callable[[bool], Awaitable[None]]
    ) -> AsyncIterator[None]:
        """Let a call be cancelled while it lasts; `cancel` is told whether its client has only stopped waiting."""

        async def hear(*, has_timed_out: bool) -> None:
            with self._subscriber.signal(_name(session_id, call, has_timed_out=has_timed_out)) as signal:
                await signal.wait()
                await cancel(has_timed_out)

        hearing = [asyncio.create_task(hear(has_timed_out=timed_out)) for timed_out in (False, True)]
        try:
            yield
        finally:
            for each in hearing:
                each.cancel()


def _name(session_id: str, call: CallId, *, has_timed_out: bool) -> str:
    """Name what is told. A gateway of an older version knows only the name of a time-out, and cancels no job."""
    parts = [session_id, str(call), *([] if has_timed_out else ["job"])]  # the SDK takes 7 and "7" for one
    return "mcp:" + digest(json.dumps(parts))
