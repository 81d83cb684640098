"""One job in a worker, as named steps: claim, settle, make the missing images, end.

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
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, ParamSpec, TypeVar

from contract import story
from contract.artifacts import Sidecar, artifact_id
from contract.errors import DarkroomError, Interrupted, ProviderError
from contract.images import ImageInfo, NotAnImage, TooLarge, inspect
from contract.job import Attempt, Degraded, Image, Job, JobState, Outcome, moment
from contract.jobhash import read_job, read_snapshots
from contract.references import References
from contract.settings import Settings
from contract.store import CallRefused, JobStore, Lease, LeaseLost
from worker.ladder import Again, Call, GiveUp, Later, Rung, Step, most_useful, next_step, plan_ladder
from worker.leases import Leases
from worker.providers.http import Conversation
from worker.providers.provider import Ask
from worker.providers.table import PROVIDERS
from worker.retry import pacing, until_reachable
from worker.writer import Writer

P = ParamSpec("P")
T = TypeVar("T")

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
    lease = await bench.store.claim(job_id, worker=bench.worker, lease_s=bench.settings.knobs.lease_seconds)
    if lease is None:
        return
    with bench.leases.hold(lease) as hold:
        development = Development(lease, bench)
        try:
            await development.develop()
        except LeaseLost:
            logger.info("job %s is not ours any more", job_id, extra={"job_id": job_id})
        except asyncio.CancelledError:
            if hold.is_draining:
                await development.give_back()
        except Exception:
            logger.exception("job %s failed inside Darkroom", job_id, extra={"job_id": job_id})
            await development.end(JobState.FAILED, DarkroomError("internal_error"))


class Development:
    """One run of one job."""

    def __init__(self, lease: Lease, bench: Bench) -> None:
        self._lease = lease
        self._bench = bench
        self._job: Job = read_job(lease.fields, None)
        self._plan = plan_ladder(self._job.request, bench.settings, PROVIDERS)
        self._attempts: list[Attempt] = list(self._job.attempts)
        self._images = {image.index for image in self._job.images}
        self._errors: dict[str, DarkroomError] = {}
        self._talks: dict[str, Conversation] = {}
        self._sources: tuple[str, ...] = ()
        self._references: tuple[str, ...] = ()

    async def develop(self) -> None:
        """Take the job from where it stands to its end, or to its next wait."""
        await self._take_stored()
        await self._settle_lost()
        await self._load_references()
        async with AsyncExitStack() as stack:
            for name in {rung.provider for rung in self._plan.rungs}:
                config = self._bench.settings.provider(name)
                talk = Conversation(PROVIDERS[name], config, ssl_context=self._bench.ssl_context)
                self._talks[name] = await stack.enter_async_context(talk)
            steps = await self._make_missing()
        await self._conclude([step for step in steps if step is not None])

    async def _take_stored(self) -> None:
        """Take artifacts that a run before this one completed but could not report."""
        for index in self._missing():
            name = artifact_id(self._job.id, index)
            sidecar = await asyncio.to_thread(self._bench.writer.stored, self._job, name)
            if sidecar is not None:
                await self._report(sidecar)

    async def _settle_lost(self) -> None:
        """Mark calls whose end nobody saw: they may have been billed."""
        for number, attempt in enumerate(self._attempts):
            if attempt.outcome is Outcome.RUNNING:
                outcome = Outcome.DELIVERED if attempt.index in self._images else Outcome.LOST
                await self._record(number, attempt.model_copy(update={"outcome": outcome}))

    async def _load_references(self) -> None:
        snapshots = read_snapshots(self._lease.fields)
        self._sources = tuple(snapshot.source for snapshot in snapshots)

        def load() -> tuple[str, ...]:
            load_one = self._bench.references.load
            return tuple(
                f"data:{snapshot.mime};base64,{base64.b64encode(load_one(snapshot)).decode()}" for snapshot in snapshots
            )

        self._references = await asyncio.to_thread(load)

    async def _make_missing(self) -> list[Step | None]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._make(index)) for index in self._missing()]
        return [task.result() for task in tasks]

    async def _conclude(self, steps: list[Step]) -> None:
        waits = [step.wait_s for step in steps if isinstance(step, Later)]
        if waits:
            note = f"Waiting {max(waits):.0f} s, as the provider asks."
            await self._persist(self._bench.store.release, self._lease, wait_s=max(waits), note=note)
            return
        codes = [step.code for step in steps if isinstance(step, GiveUp)]
        if not codes:
            await self.end(JobState.SUCCEEDED)
            return
        code = most_useful(codes)
        await self.end(JobState.EXPIRED if code == "deadline_passed" else JobState.FAILED, self._error(code))

    async def end(self, state: JobState, error: DarkroomError | None = None) -> None:
        """Write the end of the job."""
        reached = await self._persist(self._bench.store.end, self._lease, state, error)
        logger.info("job %s %s", self._job.id, reached, extra={"job_id": self._job.id})

    async def give_back(self) -> None:
        """Put the job back into the queue, because this worker stops."""
        for number, attempt in enumerate(self._attempts):
            if attempt.outcome is Outcome.RUNNING:
                await self._record(number, attempt.model_copy(update={"outcome": Outcome.CANCELLED}))
        await self._bench.store.release(self._lease, note="Its worker was stopped; another one goes on.")

    async def _make(self, index: int) -> Step | None:
        """Walk one image down the ladder; answer None once it is there, else what stopped it."""
        pace = pacing(self._bench.settings.knobs.retry_seconds)
        step: Step | None = Call(0, 0)
        while isinstance(step, Call):
            step = await pace(self._try, index)
        return step

    async def _try(self, index: int) -> Step | None:
        """Make one call for one image, if one is due; answer what comes next, None when it is there."""
        step = self._next(index)
        if not isinstance(step, Call | Again):
            return step
        rung = self._plan.rungs[step.rung]
        try:
            number = await self._begin(index, step.rung)
        except CallRefused as refusal:
            return GiveUp(most_useful([*self._codes(index), str(refusal)]))
        started = time.monotonic()
        try:
            data, info, cost = await self._call(index, number, rung, step)
        except ProviderError as error:
            return await self._fail(number, error, time.monotonic() - started)
        attempt = self._attempts[number].model_copy(
            update={"outcome": Outcome.DELIVERED, "seconds": _elapsed(started), "http_status": 200, "cost_usd": cost}
        )
        self._attempts[number] = attempt
        try:
            sidecar = await asyncio.to_thread(self._save, attempt, rung, data, info)
        except OSError as error:
            logger.error("cannot store an image: %s", error.strerror, extra={"job_id": self._job.id})
            await self._record(number, attempt)
            return GiveUp("storage_full")
        await self._keep(number, attempt, sidecar)
        return None

    async def _begin(self, index: int, rung_number: int) -> int:
        """Count and record a call before it is made; answer its number."""
        rung = self._plan.rungs[rung_number]
        attempt = Attempt(
            index=index,
            rung=rung_number,
            provider=rung.provider,
            model=rung.model,
            image_size=rung.image_size,
            quality=rung.quality,
            started_at=self._now(),
        )
        number = len(self._attempts)
        self._attempts.append(attempt)
        most = self._bench.settings.knobs.calls_per_image * self._job.request.count
        try:
            await self._persist(self._bench.store.begin_attempt, self._lease, number, attempt, max_calls=most)
        except CallRefused:
            self._attempts[number] = attempt.model_copy(update={"outcome": Outcome.CANCELLED})
            raise
        return number

    async def _call(
        self, index: int, number: int, rung: Rung, step: Call | Again
    ) -> tuple[bytes, ImageInfo, float | None]:
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
            info = await asyncio.to_thread(inspect, made.pictures[0])
        except (NotAnImage, TooLarge) as error:
            code = "image_too_large" if isinstance(error, TooLarge) else "bad_image"
            raise Interrupted(code, http_status=200, provider=rung.provider) from error
        return made.pictures[0], info, made.cost_usd

    async def _fail(self, number: int, error: ProviderError, seconds: float) -> Step:
        """Record how a call failed, and tell what the ladder does about it."""
        self._errors[error.code] = error
        attempt = self._attempts[number].model_copy(
            update={
                "outcome": Outcome(error.outcome),
                "seconds": round(seconds, 3),
                "error": error.code,
                "http_status": error.http_status,
            }
        )
        self._attempts[number] = attempt
        step = self._next(attempt.index, error.retry_after_s)
        said = story.failed(attempt)
        if isinstance(step, Again):
            await self._record(number, attempt, event="retry", text=f"{said}, trying again")
        elif isinstance(step, Call):
            below = self._plan.rungs[step.rung].rendition()
            instead = story.rendition(below, beside=self._plan.rungs[attempt.rung].rendition())
            await self._record(number, attempt, event="fallback", text=f"{said}, trying {instead}")
        else:
            await self._record(number, attempt)
        return step

    def _save(self, attempt: Attempt, rung: Rung, data: bytes, info: ImageInfo) -> Sidecar:
        """Write an image and its sidecar; blocking."""
        name = artifact_id(self._job.id, attempt.index)
        history = tuple(self._history(attempt.index))
        costs = [known.cost_usd for known in history if known.cost_usd is not None]
        path = self._bench.writer.folder(self._job) / f"{name}.{info.extension}"
        sidecar = Sidecar(
            id=name,
            path=str(path),
            mime=info.mime,
            prompt=self._job.request.prompt,
            model=rung.model,
            provider=rung.provider,
            source_images=self._sources,
            created_at=self._now().astimezone().isoformat(timespec="seconds"),
            job_id=self._job.id,
            index=attempt.index,
            width=info.width,
            height=info.height,
            sha256=hashlib.sha256(data).hexdigest(),
            bytes=len(data),
            requested=self._plan.rungs[0].rendition(),
            delivered=rung.rendition(),
            degraded=self._reason(history) if attempt.rung else None,
            attempts=history,
            cost_usd=round(sum(costs), 6) if costs else None,
        )
        return self._bench.writer.save(self._job, sidecar, data)

    async def _keep(self, number: int, attempt: Attempt, sidecar: Sidecar) -> None:
        """Report a stored image; one that comes too late is taken back."""
        try:
            await self._record(number, attempt)
            await self._report(sidecar)
        except (LeaseLost, asyncio.CancelledError):
            # A cancelled report may have arrived; the table knows, and a lost one is found on disk.
            if not await self._is_wanted():
                await asyncio.to_thread(self._bench.writer.discard, sidecar)
            raise

    async def _is_wanted(self) -> bool:
        job = await self._bench.store.get(self._job.id)
        return job.state is not JobState.CANCELLED

    async def _report(self, sidecar: Sidecar) -> None:
        degraded = (
            Degraded(requested=sidecar.requested, delivered=sidecar.delivered, reason=sidecar.degraded)
            if sidecar.degraded
            else None
        )
        image = Image(
            id=sidecar.id,
            index=sidecar.index,
            path=sidecar.path,
            mime=sidecar.mime,
            width=sidecar.width,
            height=sidecar.height,
            bytes=sidecar.bytes,
            sha256=sidecar.sha256,
            degraded=degraded,
            sidecar=str(Path(sidecar.path).with_suffix(".json")),
        )
        await self._persist(self._bench.store.add_image, self._lease, image)
        self._images.add(image.index)

    async def _record(
        self, number: int, attempt: Attempt, *, event: Literal["", "retry", "fallback"] = "", text: str = ""
    ) -> None:
        self._attempts[number] = attempt
        await self._persist(self._bench.store.end_attempt, self._lease, number, attempt, event=event, text=text)

    def _next(self, index: int, retry_after_s: float | None = None) -> Step:
        return next_step(self._plan, self._history(index), self._lease.left_s(), retry_after_s=retry_after_s)

    def _history(self, index: int) -> list[Attempt]:
        ended = (attempt for attempt in self._attempts if attempt.outcome is not Outcome.RUNNING)
        return [attempt for attempt in ended if attempt.index == index]

    def _codes(self, index: int) -> list[str]:
        return [attempt.error for attempt in self._history(index) if attempt.error]

    def _missing(self) -> list[int]:
        return [index for index in range(self._job.request.count) if index not in self._images]

    def _error(self, code: str) -> DarkroomError:
        """Find the error of this run with its sentence; one of an earlier run is told anew."""
        last = next((attempt for attempt in reversed(self._attempts) if attempt.error == code), None)
        values = {"provider": last.provider, "model": last.model, "seconds": last.seconds} if last else {}
        return self._errors.get(code) or DarkroomError(code, **values)

    def _now(self) -> datetime:
        return moment(self._lease.now_ms())

    @staticmethod
    def _reason(history: tuple[Attempt, ...]) -> str:
        """Say why the first rungs did not deliver, as in "2K timed out after 120 s (2 times)"."""
        told = Counter(story.failed(known) for known in history if known.outcome is not Outcome.DELIVERED)
        return "; ".join(words if times == 1 else f"{words} ({times} times)" for words, times in told.items())

    @staticmethod
    async def _persist(write: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        return await until_reachable()(write, *args, **kwargs)


def _elapsed(started: float) -> float:
    return round(time.monotonic() - started, 3)
