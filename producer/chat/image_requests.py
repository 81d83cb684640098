"""Image requests of a chat: submits what its model asks for, waits a while, and says what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

from contract.artifacts.sidecar import Sidecar
from contract.errors.catalogue.request import JOB_NOT_FOUND, UNKNOWN_FIELD
from contract.errors.exceptions import DarkroomError, Refused, Unavailable
from contract.jobs.job import Job, JobState
from contract.jobs.request import JobRequest
from contract.store.new_job import ChatDelivery
from producer.chat import messages
from producer.chat.late_delivery import LateDelivery, insist
from producer.chat.outbox import ChatOutbox
from producer.chat.turn import Calls, Turn
from producer.client.owner_client import Accepted, OwnerClient

HOLD_S = 10.0  # a message is held back for so long beyond the wait, lest turn and late delivery both answer
PATIENT_S = 100.0  # the wait where nothing can be sent later; nanobot's API gives up after 120
LONGEST_LOOK_S = 20.0
CANCEL_S = 3.0


class ChatAnswer(NamedTuple):
    """The answer for the model."""

    text: str
    is_error: bool = False


class Host(Protocol):
    """The process that this runs in."""

    async def goes_on(self) -> None:
        """Return once it is known that this process works on: never, if it is about to end."""


class ImageRequests:
    """Takes orders from all chats of one nanobot."""

    def __init__(
        self,
        *,
        client: Callable[[Turn], OwnerClient],
        outbox: ChatOutbox,
        late_delivery: LateDelivery,
        host: Host,
        result: Callable[[Sequence[Mapping[str, Any]]], str],
        wait_s: float,
    ) -> None:
        self._client_of = client
        self._outbox = outbox
        self._late_delivery = late_delivery
        self._host = host
        self._result = result  # writes artifacts as nanobot's own tool does
        self._wait_s = wait_s
        self._calls = Calls()
        self._cancelling: set[asyncio.Task[None]] = set()

    async def generate(self, turn: Turn, wishes: Mapping[str, Any]) -> ChatAnswer:
        """Submit a job and wait for it; one that takes longer is delivered later where that is possible.

        Stopping the turn cancels the job; the end of the process does not.
        """
        wishes = {name: value for name, value in wishes.items() if value is not None}
        unknown = next((name for name in wishes if name not in JobRequest.model_fields), None)
        if unknown is not None:
            return _refusal(Refused(UNKNOWN_FIELD, field=unknown))
        wait_s = self._wait_s if turn.hears_later else max(self._wait_s, PATIENT_S)
        chat_delivery = None
        if turn.hears_later:
            chat_delivery = ChatDelivery(
                outbox=self._outbox.name, route=turn.route.model_dump_json(), hold_s=self._wait_s + HOLD_S
            )
        key = self._calls.key(turn, wishes)
        submitting = asyncio.create_task(
            self._client_of(turn).accept(
                conversation=turn.session, idempotency_key=key, chat_delivery=chat_delivery, **wishes
            )
        )
        try:
            accepted = await asyncio.shield(submitting)
            return await self._see_through(turn, accepted.job, wait_s)
        except Unavailable as error:
            self._calls.take_back(turn, key)
            return ChatAnswer(f"{_refusal(error).text} {messages.ONCE_MORE}", is_error=True)
        except DarkroomError as error:
            return _refusal(error)
        except asyncio.CancelledError:
            await self._stopped(turn, submitting)
            raise

    async def status(self, turn: Turn, job_id: str | None, wait_s: float) -> ChatAnswer:
        """Say how a job stands, after waiting for it a little; by default this chat's newest one."""
        client = self._client_of(turn)
        try:
            job = await self._find(client, turn, job_id)
            job = await client.wait(job.id, timeout_s=min(max(wait_s, 0.0), LONGEST_LOOK_S))
            if job.is_over:
                return await self._over(
                    client, job, messages.SENT_BY_ITSELF if await self._outbox.has(job.id) else None
                )
            next_step = messages.WAIT_FOR_THEM if turn.hears_later else messages.ASK_LATER
            return ChatAnswer(messages.under_way(job, await _expected(client, job), next_step))
        except DarkroomError as error:
            return _refusal(error)

    async def cancel(self, turn: Turn, job_id: str | None) -> ChatAnswer:
        """Cancel a job, by default this chat's newest one, and write no message about it."""
        client = self._client_of(turn)
        try:
            job = await self._find(client, turn, job_id)
            job, was_possible = await client.cancel(job.id, silently=True)
            return ChatAnswer(messages.cancelled(job, was_possible=was_possible))
        except DarkroomError as error:
            return _refusal(error)

    async def _see_through(self, turn: Turn, job: Job, wait_s: float) -> ChatAnswer:
        client = self._client_of(turn)
        try:
            job = await client.wait(job.id, timeout_s=wait_s)
            if job.is_over and await self._may_answer(turn, job):
                return await self._over(client, job, None)
            expected = await _expected(client, job)
        except Unavailable:
            self._leave_to_late_delivery(turn, job.id)
            return ChatAnswer(messages.unknown(job.id, messages.SENT_LATER if turn.hears_later else messages.ASK_LATER))
        if not turn.hears_later:
            return ChatAnswer(messages.under_way(job, expected, messages.ASK_LATER))
        self._leave_to_late_delivery(turn, job.id)
        return ChatAnswer(messages.under_way(job, expected, messages.SENT_LATER))

    async def _may_answer(self, turn: Turn, job: Job) -> bool:
        """Take the message of an ended job back; if late delivery was faster, the chat has its images."""
        try:
            return not turn.hears_later or await self._outbox.close(job.id)
        except Unavailable:  # twice is better than never
            return True

    def _leave_to_late_delivery(self, turn: Turn, job_id: str) -> None:
        if turn.hears_later:
            self._late_delivery.see_to(job_id, turn.route, in_turn=True)

    async def _over(self, client: OwnerClient, job: Job, next_step: str | None) -> ChatAnswer:
        if job.state is not JobState.SUCCEEDED:
            return ChatAnswer(f"Error: {messages.failure(job)}", is_error=True)
        sidecars = await _sidecars(client, job)
        if sidecars is None:
            return ChatAnswer(f"Error: {messages.ELSEWHERE}", is_error=True)
        return ChatAnswer(messages.made(job, self._result(messages.artifacts(sidecars)), next_step))

    async def _find(self, client: OwnerClient, turn: Turn, job_id: str | None) -> Job:
        if job_id:
            return await client.get(job_id.strip())
        jobs, _ = await client.page(limit=1, conversation=turn.session)
        if not jobs:
            raise Refused(JOB_NOT_FOUND)
        return jobs[0]

    async def _stopped(self, turn: Turn, submitting: asyncio.Task[Accepted]) -> None:
        """Cancel what a stopped turn has ordered: if this process goes on, it was the user who stopped it."""
        cancelling = asyncio.create_task(self._cancel_stopped(turn, submitting))
        self._cancelling.add(cancelling)
        cancelling.add_done_callback(self._cancelling.discard)
        if not turn.hears_later:  # no other process may go on
            await asyncio.wait({cancelling}, timeout=CANCEL_S)

    async def _cancel_stopped(self, turn: Turn, submitting: asyncio.Task[Accepted]) -> None:
        with suppress(DarkroomError):
            if turn.hears_later:
                await self._host.goes_on()
            job = (await submitting).job
            _, was_possible = await insist(lambda: self._client_of(turn).cancel(job.id, silently=True))
            if not was_possible:
                await insist(lambda: self._outbox.close(job.id))


def _refusal(error: DarkroomError) -> ChatAnswer:
    others = error.others if isinstance(error, Refused) else ()
    return ChatAnswer("Error: " + " ".join(each.detail for each in (error, *others)), is_error=True)


async def _expected(client: OwnerClient, job: Job) -> tuple[int, int] | None:
    return None if job.is_over else (await client.expectations([job])).get(job.id)


async def _sidecars(client: OwnerClient, job: Job) -> list[Sidecar] | None:
    """Read the sidecars of a job's images; None where nanobot cannot read the images as files."""
    try:
        sidecars = [await client.artifacts.sidecar(image.path) for image in job.images]
        files = [await client.artifacts.local_file(sidecar.path) for sidecar in sidecars]
    except Refused:
        return None
    return sidecars if all(files) else None
