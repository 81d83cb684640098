"""The subscriber: one subscription that wakes everything that waits for a job through the same client."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import Context

from redis.asyncio import Redis
from redis.exceptions import RedisError

from contract.store.keys import EVENTS_CHANNEL

RECONNECT_S = 0.5
SILENCE_S = 5.0  # then we ask whether Redis is still there, and wait once more as long


class JobSubscriber:
    """Wakes waiting tasks when their job has news; it tells that there are some, not which."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._signals: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None
        self.is_closing = False

    @contextmanager
    def news(self, job_id: str) -> Iterator[asyncio.Event]:
        """Get an event that is set whenever the job changes; clear it before looking."""
        with self._registered(self._waiting, job_id) as event:
            yield event

    @contextmanager
    def signal(self, name: str) -> Iterator[asyncio.Event]:
        """Get an event that is set only when just this was said; one that is said while Redis is away is missed."""
        with self._registered(self._signals, name) as event:
            yield event

    @contextmanager
    def _registered(self, events: defaultdict[str, set[asyncio.Event]], name: str) -> Iterator[asyncio.Event]:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._listen(), context=Context())  # it is about no request
        event = asyncio.Event()
        events[name].add(event)
        try:
            yield event
        finally:
            events[name].discard(event)
            if not events[name]:
                del events[name]

    def stop_waiting(self) -> None:
        """Wake all waiters, for the last time."""
        self.is_closing = True
        self.wake_all()

    async def close(self) -> None:
        """End the subscription and its connection."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._redis.aclose()

    async def _listen(self) -> None:
        while not _is_cancelled():
            with suppress(RedisError, OSError):
                async with self._redis.pubsub() as subscription:
                    await subscription.subscribe(EVENTS_CHANNEL)
                    is_asked = False
                    while not _is_cancelled():
                        message = await subscription.get_message(timeout=SILENCE_S)
                        if message is not None:
                            self._wake(message)
                        elif is_asked:
                            break  # no waiter is left
                        else:
                            await subscription.ping()
                        is_asked = message is None
            self.wake_all()  # what was said meanwhile was missed
            await asyncio.sleep(RECONNECT_S)

    def _wake(self, message: dict[str, object]) -> None:
        if message["type"] == "subscribe":
            self.wake_all()
        else:
            said = str(message["data"])
            for event in (*self._waiting.get(said, ()), *self._signals.get(said, ())):
                event.set()

    def wake_all(self) -> None:
        """Have all waiters look whether there is news, and whether they may still wait."""
        for events in self._waiting.values():
            for event in events:
                event.set()


def _is_cancelled() -> bool:
    """Ask the task itself: redis-py may swallow a cancellation that meets its own time-out."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
