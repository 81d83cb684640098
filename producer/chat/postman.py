"""The postman: sends the letters of jobs that ended after their turn, also of those from before a restart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from contract.errors import Refused, Unavailable
from contract.job import Job
from contract.mailbox import Held, Mailbox
from producer.chat import words
from producer.chat.turn import Route
from producer.client import Darkroom

TRY_AGAIN_S = 2.0  # while Redis is away
T = TypeVar("T")

logger = logging.getLogger(__name__)


class Post(Protocol):
    """The way into chats."""

    def reaches(self, channel: str) -> bool:
        """Tell whether something can be sent there by itself."""

    async def after_turn(self, route: Route) -> None:
        """Return when the model has answered in a chat, or has taken very long to."""

    async def send(self, route: Route, text: str, media: Sequence[str]) -> bool:
        """Send something into a chat; tell whether the channel has taken it."""


class Postman:
    """Waits for jobs with letters, and sends each letter once, or twice where nobody can know."""

    def __init__(self, *, mailbox: Mailbox, door: Callable[[Route], Darkroom], post: Post) -> None:
        self._mailbox = mailbox
        self._door = door
        self._post = post
        self._rounds: dict[str, asyncio.Task[None]] = {}

    async def resume(self) -> None:
        """See to all letters that lie in the mailbox."""
        letters = await _insist(self._mailbox.letters)
        for job_id, route in letters.items():
            self.see_to(job_id, Route.model_validate_json(route))

    def see_to(self, job_id: str, route: Route, *, in_turn: bool = False) -> None:
        """Send a job's letter when the job is over, and the turn that is on."""
        if job_id in self._rounds or not self._post.reaches(route.channel):
            return
        task = asyncio.create_task(self._round(job_id, route, in_turn=in_turn), name=f"letter-{job_id}")
        self._rounds[job_id] = task
        task.add_done_callback(lambda _: self._rounds.pop(job_id, None))

    async def close(self) -> None:
        """Leave all letters where they are."""
        rounds = list(self._rounds.values())
        for task in rounds:
            task.cancel()
        await asyncio.gather(*rounds, return_exceptions=True)

    async def _round(self, job_id: str, route: Route, *, in_turn: bool) -> None:
        try:
            if in_turn:
                await self._post.after_turn(route)
                await _insist(lambda: self._mailbox.let_go(job_id))
            job = await _insist(lambda: self._door(route).wait(job_id))
            while await self._may_send(job_id):
                if await self._send(job, route):
                    return
        except Refused:
            logger.info("a job was forgotten before its letter was sent", extra={"job_id": job_id})

    async def _may_send(self, job_id: str) -> bool:
        """Take a letter as soon as that is possible; tell whether there is one."""
        while isinstance(taken := await _insist(lambda: self._mailbox.take(job_id)), Held):
            await asyncio.sleep(taken.wait_s)
        return taken is not None

    async def _send(self, job: Job, route: Route) -> bool:
        paths = [image.path for image in job.images]
        missing = await asyncio.to_thread(_first_missing, paths)
        text = words.misplaced(job, missing) if missing else words.letter(job)
        if not await self._post.send(route, text, [] if missing else paths):
            return False  # it can be taken once more when its lease is over
        memo = words.memo(job, [] if missing else paths)
        await _insist(lambda: self._mailbox.close(job.id, session=route.session, memo=memo))
        return True


async def _insist(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask Redis until it answers."""
    while True:
        try:
            return await ask()
        except Unavailable:
            await asyncio.sleep(TRY_AGAIN_S)


def _first_missing(paths: Sequence[str]) -> str | None:
    return next((path for path in paths if not Path(path).is_file()), None)
