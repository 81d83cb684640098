"""One job in a worker, as named steps: claim, settle, make the missing images, conclude.

What an earlier run left is settled first: artifacts that are complete on disk are taken, calls that
never ended count as lost. Each image then walks the ladder on its own, all at the same time.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import ssl
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass

from contract import story
from contract.artifacts import Sidecar, artifact_id
from contract.errors import DarkroomError, Interrupted, ProviderError, Refused, Unavailable
from contract.images import ImageInfo, NotAnImage, TooLarge, inspect
from contract.job import Attempt, JobState, Outcome, Snapshot
from contract.jobhash import read_attempts, read_job, read_snapshots
from contract.references import References
from contract.settings import Settings
from contract.store import CallRefused, JobStore, Lease, LeaseLost
from worker.ladder import Again, Call, GiveUp, Later, Rung, Step, most_useful, next_step, plan_ladder
from worker.leases import Hold, Leases
from worker.logbook import Logbook, persist
from worker.providers.http import Conversation, Made
from worker.providers.provider import Ask
from worker.providers.table import PROVIDERS
from worker.retry import pacing
from worker.writer import Writer

GIVE_BACK_S = 5.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What every job of a worker works with."""

    worker: str
    settings: Settings
    store: JobStore
    leases: Leases
    references: References
    writer: Writer
    ssl_context: ssl.SSLContext


async def run(job_id: str, bench: Bench) -> None:
    """Run a job as far as it can be run now; nothing happens if it is not to be had."""
    if bench.leases.is_closed():
        return
    lease = await bench.store.claim(job_id, worker=bench.worker, lease_s=bench.settings.knobs.lease_seconds)
    if lease is None:
        return
    with bench.leases.hold(lease) as hold, suppress(LeaseLost):
        if bench.leases.is_closed():  # the claim was under way
            await bench.store.release(lease)
            return
        try:
            development = Development(lease, bench)
            await development.develop(hold)
        except (LeaseLost, Unavailable):
            logger.warning("job %s is left to others", job_id, extra={"job_id": job_id})
        except DarkroomError as error:
            await end(lease, bench.store, JobState.FAILED, error)
        except Exception:
            logger.exception("job %s failed inside Darkroom", job_id, extra={"job_id": job_id})
            await end(lease, bench.store, JobState.FAILED, DarkroomError("internal_error"))


async def end(lease: Lease, store: JobStore, state: JobState, error: DarkroomError | None = None) -> None:
    """Write the end of a job. Raises LeaseLost."""
    reached = await persist(store.end, lease, state, error)
    logger.info("job %s %s", lease.job_id, reached, extra={"job_id": lease.job_id})


class Development:
    """One run of one job."""

    def __init__(self, lease: Lease, bench: Bench) -> None:
        self._lease = lease
        self._bench = bench
        self._job = read_job(lease.fields, None)
        self._snapshots = read_snapshots(lease.fields)
        self._plan = plan_ladder(self._job.request, bench.settings, PROVIDERS)
        most = bench.settings.knobs.calls_per_image * self._job.request.count
        self._logbook = Logbook(lease, bench.store, read_attempts(lease.fields), max_calls=most)
        self._there = {image.index for image in self._job.images}
        self._references: tuple[str, ...] = ()
        self._talks: dict[str, Conversation] = {}

    async def develop(self, hold: Hold) -> None:
        """Take the job from where it stands to its end, to its next wait, or back into the queue."""
        try:
            await self._develop()
        except asyncio.CancelledError:
            if hold.is_draining:
                await self._give_back()

    async def _develop(self) -> None:
        await self._take_stored()
        await self._logbook.settle(Outcome.LOST, delivered=frozenset(self._there))
        await self._load_references()
        async with AsyncExitStack() as stack:
            for name in {rung.provider for rung in self._plan.rungs}:
                config = self._bench.settings.provider(name)
                talk = Conversation(PROVIDERS[name], config, ssl_context=self._bench.ssl_context)
                self._talks[name] = await stack.enter_async_context(talk)
            stops = await self._make_missing()
        await self._conclude(stops)

    async def _give_back(self) -> None:
        """Put the job back into the queue, because this worker stops; without Redis its lease just ends."""
        with suppress(TimeoutError):
            async with asyncio.timeout(GIVE_BACK_S):
                await self._logbook.settle(Outcome.CANCELLED)
                await persist(
                    self._bench.store.release, self._lease, note="Its worker was stopped; another one goes on."
                )

    async def _take_stored(self) -> None:
        """Take artifacts that a run before this one completed but could not report."""
        for index in self._missing():
            name = artifact_id(self._job.id, index)
            sidecar = await asyncio.to_thread(self._bench.writer.stored, self._job, name)
            if sidecar is not None:
                await self._report(sidecar)

    async def _load_references(self) -> None:
        def load(snapshot: Snapshot) -> str:
            return f"data:{snapshot.mime};base64,{base64.b64encode(self._bench.references.load(snapshot)).decode()}"

        try:
            self._references = await asyncio.to_thread(lambda: tuple(map(load, self._snapshots)))
        except OSError as error:
            raise Refused("reference_unreadable") from error

    async def _make_missing(self) -> list[Later | GiveUp]:
        """Make all missing images at the same time; answer what stopped those that could not be made."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._make(index)) for index in self._missing()]
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        return [stop for task in tasks if (stop := task.result()) is not None]

    async def _conclude(self, stops: list[Later | GiveUp]) -> None:
        waits = [stop.wait_s for stop in stops if isinstance(stop, Later)]
        codes = [stop.code for stop in stops if isinstance(stop, GiveUp)]
        if waits:
            note = f"Waiting {max(waits):.0f} s, as the provider asks."
            await persist(self._bench.store.release, self._lease, wait_s=max(waits), note=note)
        elif codes:
            code = most_useful(codes)
            state = JobState.EXPIRED if code == "deadline_passed" else JobState.FAILED
            await end(self._lease, self._bench.store, state, self._logbook.error(code))
        else:
            await end(self._lease, self._bench.store, JobState.SUCCEEDED)

    async def _make(self, index: int) -> Later | GiveUp | None:
        """Walk one image down the ladder; answer None once it is there, else what stopped it."""
        pace = pacing(self._bench.settings.knobs.retry_seconds)
        step: Step | None = Call(0, 0)
        while isinstance(step, Call | Again):
            step = await pace(self._try, index)
        return step

    async def _try(self, index: int) -> Step | None:
        """Make one call for one image, if one is due; answer what comes next, None when it is there."""
        # Whatever the last attempt had to wait for is over: here or in the queue.
        step = self._next(index, has_waited=True)
        if not isinstance(step, Call | Again):
            return step
        rung = self._plan.rungs[step.rung]
        try:
            number = await self._logbook.begin(index, step.rung, rung)
        except CallRefused as refusal:
            return GiveUp(most_useful([*self._codes(index), str(refusal)]))
        started = time.monotonic()
        try:
            made, info = await self._call(index, number, step)
        except ProviderError as error:
            return await self._fail(number, error, time.monotonic() - started)
        attempt = self._logbook.delivered(number, seconds=time.monotonic() - started, cost_usd=made.cost_usd)
        return await self._keep(number, attempt, made.pictures[0], info)

    async def _call(self, index: int, number: int, step: Call | Again) -> tuple[Made, ImageInfo]:
        rung = self._plan.rungs[step.rung]
        ask = Ask(
            prompt=self._job.request.prompt,
            model=rung.model,
            aspect_ratio=self._job.request.aspect_ratio,
            image_size=rung.image_size,
            quality=rung.quality,
            is_fallback=step.rung > 0,
            references=self._references,
        )
        request_id = f"{self._job.id}.{index}.{number}"
        made = await self._talks[rung.provider].make(ask, timeout_s=step.timeout_s, request_id=request_id)
        try:
            return made, await asyncio.to_thread(inspect, made.pictures[0])
        except NotAnImage as error:
            code = "image_too_large" if isinstance(error, TooLarge) else "bad_image"
            raise Interrupted(code, http_status=200, provider=rung.provider) from error

    async def _fail(self, number: int, error: ProviderError, seconds: float) -> Step:
        """Record how a call failed, and tell what the ladder does about it."""
        attempt = self._logbook.failed(number, error, seconds=seconds)
        step = self._next(attempt.index, retry_after_s=error.retry_after_s)
        said = story.failed(attempt)
        if isinstance(step, Again):
            await self._logbook.write(number, event="retry", text=f"{said}, trying again")
        elif isinstance(step, Call):
            here, below = (self._plan.rungs[rung].rendition() for rung in (attempt.rung, step.rung))
            instead = story.rendition(below, beside=here)
            await self._logbook.write(number, event="fallback", text=f"{said}, trying {instead}")
        else:
            await self._logbook.write(number)
        return step

    async def _keep(self, number: int, attempt: Attempt, data: bytes, info: ImageInfo) -> GiveUp | None:
        """Store and report an image; one that nobody wants any more is taken back."""
        saving = asyncio.create_task(asyncio.to_thread(self._save, attempt, data, info))
        try:
            sidecar = await asyncio.shield(saving)  # a thread cannot be stopped halfway
            await self._logbook.write(number)
            await self._report(sidecar)
        except OSError as error:
            logger.error("cannot store an image: %s", error.strerror, extra={"job_id": self._job.id})
            await self._logbook.write(number)
            return GiveUp("storage_full")
        except (LeaseLost, asyncio.CancelledError):
            await self._take_back(saving)
            raise
        return None

    def _save(self, attempt: Attempt, data: bytes, info: ImageInfo) -> Sidecar:
        """Write an image and its sidecar; blocking."""
        name = artifact_id(self._job.id, attempt.index)
        rung: Rung = self._plan.rungs[attempt.rung]
        history = self._logbook.history(attempt.index)
        costs = [known.cost_usd for known in history if known.cost_usd is not None]
        sidecar = Sidecar(
            id=name,
            path=str(self._bench.writer.folder(self._job) / f"{name}.{info.extension}"),
            mime=info.mime,
            prompt=self._job.request.prompt,
            model=rung.model,
            provider=rung.provider,
            source_images=tuple(snapshot.source for snapshot in self._snapshots),
            created_at=self._logbook.now().astimezone().isoformat(timespec="seconds"),
            job_id=self._job.id,
            index=attempt.index,
            width=info.width,
            height=info.height,
            sha256=hashlib.sha256(data).hexdigest(),
            bytes=len(data),
            requested=self._plan.rungs[0].rendition(),
            delivered=rung.rendition(),
            degraded=story.reasons(history) if attempt.rung else None,
            attempts=history,
            cost_usd=round(sum(costs), 6) if costs else None,
        )
        return self._bench.writer.save(self._job, sidecar, data)

    async def _report(self, sidecar: Sidecar) -> None:
        await persist(self._bench.store.add_image, self._lease, sidecar.image())
        self._there.add(sidecar.index)

    async def _take_back(self, saving: asyncio.Task[Sidecar]) -> None:
        """Remove a stored image unless its job lists it, or can still take it from disk."""
        with suppress(OSError, DarkroomError):
            sidecar = await saving
            job = await self._bench.store.get(self._job.id)
            if job.is_over and sidecar.id not in {image.id for image in job.images}:
                await asyncio.to_thread(self._bench.writer.discard, sidecar)

    def _next(self, index: int, *, retry_after_s: float | None = None, has_waited: bool = False) -> Step:
        history, left_s = self._logbook.history(index), self._lease.left_s()
        return next_step(self._plan, history, left_s, retry_after_s=retry_after_s, has_waited=has_waited)

    def _codes(self, index: int) -> list[str]:
        return [attempt.error for attempt in self._logbook.history(index) if attempt.error]

    def _missing(self) -> list[int]:
        return [index for index in range(self._job.request.count) if index not in self._there]
