"""Cancel on disconnect: a job whose clients have all gone is cancelled after a grace period.

OpenAI's clients come back within seconds when a connection broke, and ModelScope's ask every few seconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from contract.errors.exceptions import DarkroomError
from producer.client.owner_client import OwnerClient

Answer = TypeVar("Answer")

logger = logging.getLogger(__name__)


class DisconnectTracker:
    """The clients of this process that wait for jobs on an open connection, or by asking again and again."""

    def __init__(self, closing: asyncio.Event) -> None:
        self._closing = closing  # then clients leave because this process does
        self._present: Counter[str] = Counter()
        self._leaving: dict[str, asyncio.Task[None]] = {}

    @property
    def is_closing(self) -> bool:
        """Tell whether this process is about to end."""
        return self._closing.is_set()

    @contextmanager
    def wait_for(self, job_id: str, client: OwnerClient, *, linger_s: float) -> Iterator[None]:
        """Wait for a job; without any waiting client for `linger_s` it is cancelled, unless it has ended."""
        self._present[job_id] += 1
        if leaving := self._leaving.pop(job_id, None):
            leaving.cancel()
        try:
            yield
        finally:
            self._present[job_id] -= 1
            if not self._present[job_id]:
                del self._present[job_id]
                self._leaving[job_id] = asyncio.create_task(self._cancel(job_id, client, linger_s))

    def expects(self, job_id: str) -> bool:
        """Tell whether a job is cancelled when no client waits for it."""
        return job_id in self._present or job_id in self._leaving

    def stay(self, job_id: str) -> None:
        """Say that a job is over, or may go on without anybody."""
        if leaving := self._leaving.pop(job_id, None):
            leaving.cancel()

    async def close(self) -> None:
        """Cancel nothing any more, because this process ends."""
        for leaving in self._leaving.values():
            leaving.cancel()

    async def _cancel(self, job_id: str, client: OwnerClient, linger_s: float) -> None:
        await asyncio.sleep(linger_s)
        self._leaving.pop(job_id, None)
        if self.is_closing:
            return
        with suppress(DarkroomError):  # it is over, or Redis is away
            _, was_possible = await client.cancel(job_id)
            if was_possible:
                logger.info("job %s is cancelled: its client has gone", job_id, extra={"job_id": job_id})


async def gone(receive: Receive) -> None:
    """Wait until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def while_present(receive: Receive, waiting: Coroutine[object, object, Answer]) -> Answer:
    """Wait for something as long as the client is there. Raises ClientDisconnect."""
    answering, leaving = asyncio.create_task(waiting), asyncio.create_task(gone(receive))
    try:
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            raise ClientDisconnect
        return answering.result()
    finally:
        answering.cancel()
        leaving.cancel()
