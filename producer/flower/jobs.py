"""What Flower knows: workers from Celery's events, jobs from the journal, also those of before its start."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import aclosing, suppress
from typing import Any

from celery.events import EventReceiver
from flower.events import Events
from redis.asyncio import Redis

from contract.errors.exceptions import Unavailable
from contract.monitoring.journal import AT_ONCE, Counts, JournalEntry, read_journal
from producer.flower.events import task_events

RECONNECT_S = 2.0

logger = logging.getLogger(__name__)


class _WithoutTasks:
    """Flower's metrics while it learns the past: jobs that ended before its start are not counted as new ones."""

    def __init__(self, metrics: Any) -> None:
        self._metrics = metrics

    def __getattr__(self, name: str) -> Any:
        return getattr(self._metrics, name)

    def observe_task(self, worker: str, event: dict[str, Any], task: object) -> None:
        """Count nothing."""


class JobEvents(Events):  # type: ignore[misc]
    """Flower's source of events."""

    def __init__(self, *args: Any, redis: Redis, gateway: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.counts = Counts()
        self._redis = redis
        self._gateway = gateway
        self._clock = 0
        self._reading: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to listen to the workers and to read the journal."""
        super().start()
        self.io_loop.add_callback(self._begin)

    def on_event(self, event: dict[str, Any]) -> None:
        """Take an event of a worker; what Celery thinks of tasks is not what became of jobs."""
        if not event["type"].startswith("task-"):
            super().on_event(event)

    def run(self) -> None:
        """Listen to the workers for ever, in a thread."""
        while True:
            try:
                with self.capp.connection() as connection:
                    EventReceiver(connection, handlers={"*": self.on_event}, app=self.capp).capture(wakeup=True)
            except Exception as error:  # noqa: BLE001 - whatever the broker's client raises
                logger.warning("workers are not heard (%s); trying again", type(error).__name__)
                time.sleep(RECONNECT_S)

    def _begin(self) -> None:
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        metrics, after = self.state.metrics, "0"
        self.state.metrics = _WithoutTasks(metrics)
        while True:
            with suppress(Unavailable):
                async with aclosing(read_journal(self._redis, after)) as readings:
                    async for lines in readings:
                        for line in lines:
                            after = line.id
                            self._learn(line)
                        if len(lines) < AT_ONCE:
                            self.state.metrics = metrics
            await asyncio.sleep(RECONNECT_S)

    def _learn(self, line: JournalEntry) -> None:
        self.counts = line.counts
        if line.move is not None:
            self._clock += 1
            for event in task_events(line.move, clock=self._clock, gateway=self._gateway):
                self.state.event(event)
