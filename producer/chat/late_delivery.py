"""Late delivery: sends the messages of jobs that ended after their turn, also of those from before a restart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

from pydantic import ValidationError

from contract.errors.exceptions import DarkroomError, Refused, Unavailable
from contract.jobs.job import Job, JobState
from contract.store.job_writer import new_name
from producer.chat import messages
from producer.chat.outbox import ChatOutbox
from producer.chat.turn import Route
from producer.client.owner_client import OwnerClient

LOOK_S = 5.0
PUT_BACK_S = 60.0
TRY_AGAIN_S = 2.0  # while Redis is away
T = TypeVar("T")

logger = logging.getLogger(__name__)


class ChatSender(Protocol):
    """The way into chats."""

    def reaches(self, channel: str) -> bool:
        """Tell whether something can be sent there by itself."""

    async def after_turn(self, route: Route) -> None:
        """Return when the model has answered in a chat, or has taken very long to."""

    async def send(self, route: Route, text: str, media: Sequence[str]) -> bool:
        """Send something into a chat; tell whether the channel has taken it."""


class LateDelivery:
    """Waits for jobs with messages, and sends each message once, or twice if it is unknown whether it arrived."""

    def __init__(self, *, outbox: ChatOutbox, client: Callable[[Route], OwnerClient], post: ChatSender) -> None:
        self._outbox = outbox
        self._client_of = client
        self._post = post
        self._rounds: dict[str, asyncio.Task[None]] = {}
        self._left: set[str] = set()

    async def work(self) -> None:
        """Look for messages until stopped: those from before a restart, and those that no process handles."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """See to the messages that may be sent."""
        for job_id, text in (await insist(self._outbox.due)).items():
            if not text:  # its job is forgotten
                await insist(partial(self._outbox.close, job_id))
                continue
            if job_id in self._left:
                continue
            try:
                self.see_to(job_id, Route.model_validate_json(text))
            except ValidationError:
                self._leave(job_id)

    def _leave(self, job_id: str) -> None:
        """Leave a message in its box that only another version can read, and say so once."""
        if job_id not in self._left:
            self._left.add(job_id)
            logger.warning(
                "a message is left to another version of Darkroom, which can read it", extra={"job_id": job_id}
            )

    def see_to(self, job_id: str, route: Route, *, in_turn: bool = False) -> None:
        """Send a job's message when the job is over, and the turn that is on."""
        if job_id in self._rounds or not self._post.reaches(route.channel):
            return
        task = asyncio.create_task(self._round(job_id, route, in_turn=in_turn), name=f"message-{job_id}")
        self._rounds[job_id] = task
        task.add_done_callback(lambda _: self._rounds.pop(job_id, None))

    async def close(self) -> None:
        """Leave all messages where they are."""
        rounds = list(self._rounds.values())
        for task in rounds:
            task.cancel()
        await asyncio.gather(*rounds, return_exceptions=True)

    async def _round(self, job_id: str, route: Route, *, in_turn: bool) -> None:
        if in_turn:
            await self._post.after_turn(route)
            await insist(lambda: self._outbox.let_go(job_id))
        try:
            job = await insist(lambda: self._client_of(route).wait(job_id))
        except Refused:
            return  # it was deleted, and its message with it
        except DarkroomError:  # its job cannot be read
            self._leave(job_id)
            return
        taking = new_name()
        if await insist(lambda: self._outbox.take(job_id, taking)):
            await self._send(job, route, taking)

    async def _send(self, job: Job, route: Route, taking: str) -> None:
        """Send a message that was taken; what its channel does not take comes back, as long as its job is known."""
        paths = [image.path for image in job.images] if job.state is JobState.SUCCEEDED else []
        if missing := await self._first_missing(route, paths):
            logger.warning("%s of job %s is not on this machine", missing, job.id)
            paths = []
        text = messages.misplaced(job) if missing else messages.late_message(job)
        if not await self._post.send(route, text, paths):
            logger.warning("%s did not take the message of job %s; it is sent again", route.channel, job.id)
            await insist(lambda: self._outbox.put_back(job.id, taking, wait_s=PUT_BACK_S))
        else:
            note = messages.note(job, paths)
            await insist(lambda: self._outbox.close(job.id, session=route.session, note=note))

    async def _first_missing(self, route: Route, locators: Sequence[str]) -> str | None:
        artifacts = self._client_of(route).artifacts
        for locator in locators:
            if await artifacts.local_file(locator) is None:
                return locator
        return None


async def insist(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask Redis until it answers."""
    while True:
        try:
            return await ask()
        except Unavailable:
            await asyncio.sleep(TRY_AGAIN_S)
