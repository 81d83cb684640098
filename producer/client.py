"""The producer's client: hand a job in, look at it, wait for it, follow it, cancel it.

    async with Darkroom(load_settings(), owner="cli") as darkroom:
        job = await darkroom.submit(prompt="a red fox", count=2)
        job = await darkroom.wait(job.id)

Everything answers or fails within about three seconds, also when Redis is dead or hangs; only
`wait` and `events` take as long as the job does.
"""

from __future__ import annotations

import asyncio
import difflib
import re
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from pydantic import ValidationError

from contract.artifacts import find_image, is_artifact_id
from contract.doorbell import Doorbell
from contract.errors import Refused, Unavailable
from contract.job import TERMINAL, Job, JobEvent, JobRequest, JobState
from contract.kinds import KINDS
from contract.references import References
from contract.scripts import open_redis
from contract.secret import Secret
from contract.settings import Settings
from contract.store import JobStore, NewJob
from contract.webhook import accept
from producer.feed import Feed

LOOK_AGAIN_S = 5.0  # news can be missed; looking is cheap
ANSWER_S = 2.8

_JOB_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_EVENT_ID = re.compile(r"0|[0-9]{1,15}-[0-9]{1,10}")
_KEY = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,254}")
_EXPECTED = {"float_type": "a number", "int_type": "a whole number", "string_type": "text", "tuple_type": "a list"}


class Darkroom:
    """One owner's door to the queue."""

    def __init__(self, settings: Settings, *, owner: str) -> None:
        self._settings = settings
        self.owner = owner
        self._redis = open_redis(settings.knobs.redis_url.get_secret_value(), timeout_s=ANSWER_S / 2)
        self._store = JobStore(self._redis, Doorbell(), retention_s=settings.knobs.retention_seconds)
        self._feed = Feed(open_redis(settings.knobs.redis_url.get_secret_value(), timeout_s=ANSWER_S / 2))
        self._references = References(
            roots=(settings.workspace, settings.media), workspace=settings.workspace, inputs=settings.home / "inputs"
        )
        self._secret = Secret(settings.home, settings.knobs.secret)

    async def __aenter__(self) -> Darkroom:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._feed.close()
        await self._redis.aclose()

    async def submit(
        self,
        *,
        conversation: str | None = None,
        idempotency_key: str | None = None,
        webhook_url: str | None = None,
        webhook_secret: str | None = None,
        **fields: object,
    ) -> Job:
        """Hand a job in and answer it as it was accepted.

        `fields` are those of a JobRequest; ratio and size default to the configured ones. With an
        idempotency key, a repeated request answers the first one's job. The job's end is told to
        `webhook_url`, signed with `webhook_secret` or the owner's own one. Raises Refused with the
        sentence that says what to change, and Unavailable; then nothing was enqueued, or, when the
        answer was lost, at most once.
        """
        for name in self._settings.provider_names:
            self._settings.provider(name)
        if idempotency_key is not None and not _KEY.fullmatch(idempotency_key):
            raise Refused("idempotency_key_invalid")
        request = read_request(fields, self._settings)
        paths = [await self._path(reference, conversation) for reference in request.reference_images]
        snapshots = await asyncio.to_thread(self._references.snapshot, paths)
        knobs = self._settings.knobs
        webhook = await accept(webhook_url, webhook_secret, secret=self._secret, allowed=knobs.webhook_networks)
        new = NewJob(
            id=str(uuid.uuid4()),
            owner=self.owner,
            conversation=conversation,
            request=request,
            snapshots=snapshots,
            idempotency_key=idempotency_key,
            queue_time_s=knobs.queue_seconds,
            run_time_s=min(request.deadline_seconds or knobs.deadline_seconds, knobs.deadline_seconds),
            max_active=knobs.max_jobs_per_owner,
            max_queued=knobs.max_queued,
            webhook=webhook,
        )
        async with _answering():
            job_id, _ = await self._store.submit(new)
            return await self._store.get(job_id)

    async def get(self, job_id: str) -> Job:
        """Look at a job of this owner. Raises Refused (`job_not_found`), Unavailable."""
        async with _answering():
            return await self._store.get(_checked(job_id), owner=self.owner)

    async def wait(self, job_id: str, *, timeout_s: float | None = None) -> Job:
        """Wait until a job is over; answer how it stands then, or after `timeout_s`.

        Redis may come and go meanwhile. Raises Refused (`job_not_found`).
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
        """Follow a job's story from its begin, or after an event's id, to its end.

        Redis may come and go meanwhile. Raises Refused (`job_not_found`).
        """
        if not _EVENT_ID.fullmatch(after):
            raise Refused("event_id_invalid")
        await self.get(job_id)
        with self._feed.news(job_id) as news:
            while True:
                news.clear()
                is_over, events = await self._look(job_id, after)
                for event in events:
                    yield event
                    after = event.id
                if is_over:
                    return
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_AGAIN_S):
                        await news.wait()

    async def _look(self, job_id: str, after: str) -> tuple[bool, list[JobEvent]]:
        """Tell whether a job is over, and what was added to its story; nothing while Redis is away."""
        try:
            async with _answering():
                state = await self._store.state(job_id)  # before its events: none of an ended job is missed
                return state in TERMINAL, await self._store.events(job_id, after=after)
        except Unavailable:
            return False, []

    async def cancel(self, job_id: str) -> tuple[Job, bool]:
        """Cancel a job; answer it and whether it was still possible."""
        async with _answering():
            before = await self._store.cancel(_checked(job_id), owner=self.owner)
            return await self._store.get(job_id), before in (JobState.QUEUED, JobState.RUNNING)

    async def list(self, *, offset: int = 0, limit: int = 20) -> list[Job]:
        """List this owner's jobs, newest first."""
        async with _answering():
            return await self._store.jobs_of(self.owner, offset=offset, limit=limit)

    async def _get_patiently(self, job: Job) -> Job:
        while True:
            try:
                return await self.get(job.id)
            except Unavailable:
                await asyncio.sleep(1)

    async def _path(self, reference: str, conversation: str | None) -> str:
        """Turn a reference into a path: an artifact id or "latest" into where the file lies."""
        if reference == "latest":
            async with _answering():
                latest = await self._store.latest_image(self.owner, conversation) if conversation else None
            if latest is None:
                raise Refused("no_previous_image")
            return latest
        artifact = Path(reference).stem
        if not is_artifact_id(artifact):
            return reference
        async with _answering():
            if await self._store.is_foreign(artifact, self.owner):
                raise Refused("reference_outside_roots")
        if reference != artifact:
            return reference
        media, save_dir = self._settings.media, self._settings.image.save_dir
        image = await asyncio.to_thread(find_image, media, save_dir, artifact)
        if image is None:
            raise Refused("reference_outside_roots")
        return str(image)


def read_request(fields: Mapping[str, object], settings: Settings) -> JobRequest:
    """Check what a caller sent. Raises Refused with the first problem."""
    defaults = {
        "aspect_ratio": settings.image.default_aspect_ratio,
        "image_size": settings.image.default_image_size,
    }
    given = {**defaults, **{name: value for name, value in fields.items() if value is not None or name not in defaults}}
    limits = {"max_images": settings.image.max_images_per_turn, "max_seconds": settings.knobs.deadline_seconds}
    try:
        return JobRequest.model_validate(given, context=limits)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise _refusal(first["type"], first["loc"], first.get("ctx", {})) from error


def _refusal(kind: str, location: Sequence[int | str], context: Mapping[str, Any]) -> Refused:
    name = str(location[0]) if location else ""
    if kind in KINDS:
        return Refused(kind, **context)
    if kind == "extra_forbidden":
        close = difflib.get_close_matches(name, JobRequest.model_fields, n=1)
        return Refused("unknown_field", field=name[:50], suggestion=close[0] if close else None)
    if name == "prompt":
        return Refused("prompt_invalid_characters" if kind == "string_unicode" else "prompt_required")
    return Refused("type_error", field=name, expected=f"it must be {_EXPECTED.get(kind, 'something else')}")


def _checked(job_id: str) -> str:
    """Let only well-formed ids near a Redis key."""
    if not _JOB_ID.fullmatch(job_id):
        raise Refused("job_not_found")
    return job_id


@asynccontextmanager
async def _answering() -> AsyncIterator[None]:
    """Bound a whole operation, however many commands it has."""
    try:
        async with asyncio.timeout(ANSWER_S):
            yield
    except TimeoutError as expired:
        raise Unavailable from expired
