"""Cancel on disconnect: a job whose clients have all gone is cancelled after a grace period.

OpenAI's clients come back within seconds when a connection broke, and ModelScope's ask every few seconds; either may
come to another gateway. So each gateway notes in Redis whom it has, and a job is cancelled only if no gateway has any.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Protocol, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from contract.errors.exceptions import Unavailable
from producer.api.services.owner_turns import end_turn
from producer.api.services.presence import LEAST_S, RENEW_AGAIN_S, RENEW_S

Answer = TypeVar("Answer")

logger = logging.getLogger(__name__)


class Presence(Protocol):
    """What all gateways know of clients that wait."""

    async def note(self, jobs: Mapping[str, float]) -> None:
        """Note that clients wait here for jobs, each for so many seconds from now on. Raises Unavailable."""

    async def is_noted(self, job_id: str) -> bool:
        """Tell whether a job is cancelled when no client waits for it. Raises Unavailable."""

    async def leave(self, job_id: str, *, goes_on: bool = False) -> bool:
        """Tell that nobody waits here for a job; answer whether it was cancelled by that. Raises Unavailable."""

    async def forget(self, job_id: str) -> None:
        """Let a job go on without anybody. Raises Unavailable."""

    async def sweep(self) -> list[str]:
        """Cancel the jobs that gateways which are gone have left; list them. Raises Unavailable."""


class DisconnectTracker:
    """The clients of this process that wait for jobs on an open connection, or by asking again and again."""

    def __init__(self, closing: asyncio.Event, presence: Presence) -> None:
        self._closing = closing  # then clients leave because this process does
        self._presence = presence
        self._present: Counter[str] = Counter()
        self._notes: dict[str, float] = {}  # of those present or leaving: for how many seconds a note of them counts
        self._leaving: dict[str, asyncio.Task[None]] = {}

    @property
    def is_closing(self) -> bool:
        """Tell whether this process is about to end."""
        return self._closing.is_set()

    async def keep(self) -> None:
        """Renew the notes of this process for ever, and look for jobs that others have left behind."""
        while True:
            wait_s = RENEW_S
            try:
                await self._presence.note(dict(self._notes))
                for job_id in await self._presence.sweep():
                    _log(job_id)
            except Unavailable:
                wait_s = RENEW_AGAIN_S
            await asyncio.sleep(wait_s)

    @asynccontextmanager
    async def wait_for(self, job_id: str, *, linger_s: float) -> AsyncIterator[None]:
        """Wait for a job; without any waiting client for `linger_s` it is cancelled, unless it has ended."""
        self._present[job_id] += 1
        self._notes[job_id] = max(self._notes.get(job_id, 0.0), LEAST_S, linger_s + RENEW_S)
        if leaving := self._leaving.pop(job_id, None):
            leaving.cancel()
        try:
            with suppress(Unavailable):  # it is noted when Redis is back
                await self._presence.note({job_id: self._notes[job_id]})
            yield
        finally:
            self._present[job_id] -= 1
            if not self._present[job_id]:
                del self._present[job_id]
                self._leaving[job_id] = asyncio.create_task(self._leave(job_id, linger_s))

    async def expects(self, job_id: str) -> bool:
        """Tell whether a job is cancelled when no client waits for it. Raises Unavailable."""
        return job_id in self._notes or await self._presence.is_noted(job_id)

    async def stay(self, job_id: str) -> None:
        """Say that a job is over, or may go on without anybody."""
        if leaving := self._leaving.pop(job_id, None):
            leaving.cancel()
            del self._notes[job_id]
        with suppress(Unavailable):
            await self._presence.forget(job_id)

    async def close(self) -> None:
        """Cancel nothing any more, because this process ends."""
        for leaving in self._leaving.values():
            leaving.cancel()
        with suppress(Unavailable):
            for job_id in list(self._notes):
                await self._presence.leave(job_id, goes_on=True)

    async def _leave(self, job_id: str, linger_s: float) -> None:
        await asyncio.sleep(linger_s)
        self._leaving.pop(job_id, None)
        self._notes.pop(job_id, None)
        with suppress(Unavailable):  # the note runs out, and is found then
            if await self._presence.leave(job_id, goes_on=self.is_closing):
                _log(job_id)


def _log(job_id: str) -> None:
    logger.info("job %s is cancelled: its client has gone", job_id, extra={"job_id": job_id})


async def gone(receive: Receive) -> None:
    """Wait until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def while_present(request: Request, waiting: Coroutine[object, object, Answer]) -> Answer:
    """Wait, without a turn, for something as long as the client is there. Raises ClientDisconnect."""
    end_turn(request.scope)
    answering, leaving = asyncio.create_task(waiting), asyncio.create_task(gone(request.receive))
    try:
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            raise ClientDisconnect
        return answering.result()
    finally:
        answering.cancel()
        leaving.cancel()
