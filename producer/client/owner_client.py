"""One owner's client: submit a job, look at it, wait for it, follow it, cancel it.

Everything answers or fails within about three seconds, also when Redis is dead or hangs; only
`wait` and `events` take as long as the job does.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from contract.errors.catalogue.request import JOB_NOT_FOUND
from contract.errors.exceptions import Refused, Unavailable
from contract.jobs.ids import (
    check_conversation,
    check_event_id,
    check_idempotency_key,
    check_job_id,
    is_event_at_most,
)
from contract.jobs.job import TERMINAL, Job, JobEvent, JobState, ReferenceSnapshot
from contract.jobs.request import KeptRequest
from contract.settings.accepted_defaults import defaults_of
from contract.store.new_job import ChatDelivery, NewJob
from producer.client.connections import Connections
from producer.client.deduplication import RecentRequests
from producer.client.owner_images import OwnerImages
from producer.client.redis_deadline import redis_deadline
from producer.error_catalogue import JOB_NOT_FINISHED, UNAUTHORIZED
from producer.validation.request import kind_of, price_of, read_request
from producer.validation.shape import shaped
from producer.validation.webhook_target import check_webhook

LOOK_AGAIN_S = 30.0  # the feed tells what is new; this is for the day it does not
TRY_AGAIN_S = 2.0  # while Redis is away

logger = logging.getLogger(__name__)


class Accepted(NamedTuple):
    """A job that was submitted, and whether it had been before with the same idempotency key."""

    job: Job
    is_replayed: bool


class OwnerClient:
    """What one owner can do: submit jobs, look at them, wait for them, cancel and delete them."""

    def __init__(
        self,
        connections: Connections,
        *,
        owner: str,
        names_paths: bool,
        chat: str = "",
        reads_all: bool = False,
        may_go_on: Callable[[], bool] = lambda: True,
    ) -> None:
        """Build an owner's client.

        An owner who may not name paths refers to images by the ids of their own artifacts and uploads. Images of
        those who share a `chat` belong to all of them. One who `reads_all` may also name paths to images of others.
        Whatever waits for a job ends as unauthorized once `may_go_on` denies it.
        """
        self.connections = connections
        self.settings = connections.settings
        self.owner = owner
        self._chat = chat
        self.may_go_on = may_go_on
        self.artifacts = connections.artifacts
        self._store = connections.store
        self.owner_images = OwnerImages(
            connections.settings,
            connections.store,
            connections.artifacts,
            connections.references,
            owner=chat or owner,
            names_paths=names_paths,
            reads_all=reads_all,
        )
        self.recent = RecentRequests(connections.store, owner=owner)

    def of(self, owner: str, *, names_paths: bool, chat: str = "") -> OwnerClient:
        """Build another owner's client over the same connections."""
        return OwnerClient(self.connections, owner=owner, names_paths=names_paths, chat=chat, may_go_on=self.may_go_on)

    async def submit(self, **fields: Any) -> Job:
        """Submit a job and return it as it was accepted; the arguments are those of `accept`."""
        return (await self.accept(**fields)).job

    async def accept(
        self,
        *,
        conversation: str | None = None,
        idempotency_key: str | None = None,
        webhook_url: str | None = None,
        webhook_secret: str | None = None,
        chat_delivery: ChatDelivery | None = None,
        **fields: object,
    ) -> Accepted:
        """Submit a job; return it as it was accepted, and whether it had been submitted before.

        `fields` are those of a JobRequest; `shaped` tells what ratio and size default to. With an
        idempotency key, a repeated request answers the first one's job. The job's end is told to
        `webhook_url`, signed with `webhook_secret` or the owner's one, and over `chat_delivery`. Raises Refused with
        the sentence that says what to change, and Unavailable; then nothing was enqueued, or, when the
        answer was lost, at most once.
        """
        request = read_request(fields, self.settings)
        check_conversation(conversation)
        allowed = self.settings.env.webhook_networks
        webhook = await check_webhook(webhook_url, webhook_secret, secret=self.connections.secret, allowed=allowed)
        snapshots = await self.owner_images.snapshots(request.reference_images, conversation)
        return await self._submit_request(
            shaped(request, fields, snapshots, self.settings),
            snapshots,
            conversation,
            idempotency_key,
            webhook=webhook,
            webhook_url=webhook_url or "",
            chat_delivery=chat_delivery,
        )

    async def retry(self, job_id: str, *, idempotency_key: str | None = None) -> Accepted:
        """Submit the request of an ended job again, with the same references.

        Raises Refused (`job_not_found`, `job_not_finished`) and as `accept`.
        """
        job = await self.get(job_id)
        if not job.is_over:
            raise Refused(JOB_NOT_FINISHED, state=job.state)
        async with redis_deadline():
            snapshots = await self._store.snapshots(job_id)
        await self.owner_images.renew(snapshots)
        return await self._submit_request(job.request, snapshots, job.conversation, idempotency_key, retry_of=job.id)

    async def _submit_request(
        self,
        request: KeptRequest,
        snapshots: tuple[ReferenceSnapshot, ...],
        conversation: str | None,
        idempotency_key: str | None,
        *,
        webhook: str = "",
        webhook_url: str = "",
        chat_delivery: ChatDelivery | None = None,
        retry_of: str | None = None,
    ) -> Accepted:
        for name in () if self.settings.env.keys_elsewhere else self.settings.provider_names:
            self.settings.provider(name)
        if idempotency_key is not None:
            check_idempotency_key(idempotency_key)
        env = self.settings.env
        new = NewJob(
            id=str(uuid.uuid4()),
            owner=self.owner,
            conversation=conversation,
            request=request,
            snapshots=snapshots,
            idempotency_key=idempotency_key,
            queue_time_s=env.queue_seconds,
            run_time_s=min(request.deadline_seconds or env.deadline_seconds, env.deadline_seconds),
            max_active=env.max_jobs_per_owner,
            max_queued=env.max_queued,
            max_running=env.max_running_per_owner,
            kind=kind_of(request, self.settings),
            budget_usd=env.budget_usd_per_day,
            price_usd=price_of(request, self.settings),
            gallery=self._chat,
            defaults=defaults_of(request, self.settings),
            webhook=webhook,
            webhook_url=webhook_url,
            chat_delivery=chat_delivery,
            retry_of=retry_of,
        )
        return await self._submit(new)

    async def _submit(self, new: NewJob) -> Accepted:
        await self.connections.disk_floor.check()
        with self.connections.load_shedder.join(self.owner):
            async with redis_deadline():
                job_id, is_replayed = await self._store.submit(new)
                logger.info("job %s %s", job_id, "was accepted before" if is_replayed else "accepted")
                return Accepted(await self._store.get(job_id), is_replayed)

    async def get(self, job_id: str) -> Job:
        """Look at a job of this owner. Raises Refused (`job_not_found`), Unavailable."""
        async with redis_deadline():
            return await self._store.get(check_job_id(job_id), owner=self.owner)

    async def wait(self, job_id: str, *, timeout_s: float | None = None) -> Job:
        """Wait until a job is over; answer how it stands then, or after `timeout_s`.

        Redis may come and go meanwhile; after `stop_waiting` no call waits. Raises Refused (`job_not_found`).
        """
        job = await self.get(job_id)
        try:
            async with asyncio.timeout(timeout_s):
                async for _ in self.events(job_id):
                    pass
        except TimeoutError:
            pass
        return await self._get_patiently(job) if timeout_s is None else await self.get(job_id)

    async def events(self, job_id: str, *, after: str = "0") -> AsyncIterator[JobEvent]:
        """Follow a job's story from its begin, or after an event's id, to its end; an id behind its end is none of it.

        Redis may come and go meanwhile; after `stop_waiting` it ends at once. Raises Refused (`job_not_found`).
        """
        check_event_id(after)
        await self.get(job_id)
        if after != "0":
            async with redis_deadline():
                after = after if is_event_at_most(after, await self._store.last_event(job_id)) else "0"
        with self.connections.subscriber.news(job_id) as news:
            while True:
                news.clear()
                if not self.may_go_on():
                    raise Refused(UNAUTHORIZED)
                state, events = await self._look(job_id, after)
                for event in events:
                    yield event
                    after = event.id
                if state in TERMINAL or self.connections.is_stopping:
                    return
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_AGAIN_S if state else TRY_AGAIN_S):
                        await news.wait()

    async def _look(self, job_id: str, after: str) -> tuple[JobState | None, list[JobEvent]]:
        """Tell where a job stands, and what was added to its story; nothing while Redis is away."""
        try:
            async with redis_deadline():
                return await self._store.news(job_id, after=after)
        except Unavailable:
            return None, []

    async def cancel(self, job_id: str, *, silently: bool = False) -> tuple[Job, bool]:
        """Cancel a job; answer it and whether it was still possible. If `silently`, no message tells of it."""
        async with redis_deadline():
            before = await self._store.cancel(check_job_id(job_id), owner=self.owner, silently=silently)
            return await self._store.get(job_id), before in (JobState.QUEUED, JobState.RUNNING)

    async def delete(self, job_id: str) -> Job:
        """Forget a job of this owner and all that is known of it, and remove its files; answer it as it was.

        Raises Refused (`job_not_found`, and `media_elsewhere` where its files cannot be reached).
        """
        try:
            has_images = bool((await self.get(job_id)).images)
        except Refused as error:
            if error.code != JOB_NOT_FOUND.code:
                raise
            has_images = False  # an earlier deletion may not have removed them
        if has_images:
            await self.owner_images.check_disk()
        async with redis_deadline():
            job = await self._store.delete(check_job_id(job_id), owner=self.owner)
        await self.owner_images.remove(job)
        return job

    async def expectations(self, jobs: Sequence[Job]) -> dict[str, tuple[int, int] | None]:
        """Tell by their ids when queued jobs may be expected to be done: in seconds, at least and at most."""
        places = {
            job.id: (kind_of(job.request, self.settings), job.position) for job in jobs if job.position is not None
        }
        return await self.connections.eta.expectations(places)

    async def page(
        self,
        *,
        before: str | None = None,
        limit: int = 20,
        state: frozenset[JobState] | None = None,
        conversation: str | None = None,
    ) -> tuple[list[Job], str | None]:
        """List this owner's jobs, newest first, and tell where the next page begins, if there may be one."""
        async with redis_deadline():
            return await self._store.page_of(
                self.owner, before=before, limit=limit, state=state, conversation=conversation
            )

    async def list(self, *, offset: int = 0, limit: int = 20) -> list[Job]:
        """List this owner's jobs, newest first."""
        async with redis_deadline():
            return await self._store.jobs_of(self.owner, offset=offset, limit=limit)

    async def _get_patiently(self, job: Job) -> Job:
        while True:
            try:
                return await self.get(job.id)
            except Unavailable:
                await asyncio.sleep(1)
