"""One job in a worker, as named steps: claim, settle, make the missing images, conclude.

What an earlier run left is settled first: artifacts that are complete on disk are taken, calls that
never ended count as lost. Each image then walks the ladder on its own, all at the same time.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, suppress

from contract.artifacts.sidecar import Sidecar, artifact_id
from contract.errors.exceptions import DarkroomError, ProviderError, Unavailable
from contract.errors.job_catalogue import DEADLINE_PASSED, INTERNAL_ERROR, JOB_UNREADABLE
from contract.jobs import wording
from contract.jobs.job import Job, JobState, Outcome
from contract.settings.accepted_defaults import accepted_with
from contract.settings.settings import Settings
from contract.store.job_hash import read_attempts, read_job, read_snapshots
from contract.store.lease import Lease, LeaseLost
from contract.store.worker_store import WorkerStore
from contract.telemetry.logs import about
from worker import failpoint
from worker.execution.attempt_log import AttemptLog, persist
from worker.execution.context import JobContext, WorkerContext
from worker.execution.delivery import Delivery
from worker.execution.image_run import ImageRun, Stopped
from worker.execution.leases import HeldJob
from worker.http.provider_client import ProviderClient
from worker.policy.ladder import plan_ladder
from worker.policy.retry_policy import GiveUp, Later, most_useful
from worker.providers.registry import PROVIDERS

GIVE_BACK_S = 5.0
STOPPED = "Its worker was stopped; another one goes on."

logger = logging.getLogger(__name__)


async def run(job_id: str, bench: WorkerContext) -> None:
    """Run a job as far as it can be run now; nothing happens if it is not to be had."""
    if bench.leases.is_closed():
        return
    with about(job_id=job_id):
        await _run(job_id, bench)


async def _run(job_id: str, bench: WorkerContext) -> None:
    lease = await bench.store.claim(job_id, worker=bench.worker, lease_s=bench.settings.env.lease_seconds)
    if lease is None:
        return
    failpoint.reach("after_claim")
    with bench.leases.hold(lease) as hold, suppress(LeaseLost, asyncio.CancelledError):  # it is others' now
        if bench.leases.is_closed():  # the claim was under way
            await bench.store.release(lease)
            return
        try:
            development = JobRun(lease, bench)
            await development.develop(hold)
        except (LeaseLost, Unavailable):
            logger.warning("job %s is left to others", job_id, extra={"job_id": job_id})
        except DarkroomError as error:
            await end(lease, bench.store, JobState.FAILED, error)
        except Exception:
            logger.exception("job %s failed inside Darkroom", job_id, extra={"job_id": job_id})
            await end(lease, bench.store, JobState.FAILED, DarkroomError(INTERNAL_ERROR))


async def end(lease: Lease, store: WorkerStore, state: JobState, error: DarkroomError | None = None) -> None:
    """Write the end of a job. Raises LeaseLost."""
    reached = await persist(store.end, lease, state, error)
    failpoint.reach("after_commit_before_ack")
    why = f": {error.code}" if error and reached is not JobState.CANCELLED else ""
    logger.info("job %s %s%s", lease.job_id, reached, why, extra={"job_id": lease.job_id})


def lay_out(lease: Lease, bench: WorkerContext, job: Job, settings: Settings) -> JobContext:
    """Lay out what a claimed job's images are made with. Raises DarkroomError (`job_unreadable`), Refused."""
    if len(job.images) < int(lease.fields["images"]):  # what cannot be read would be made and paid again
        raise DarkroomError(JOB_UNREADABLE)
    return JobContext(
        bench=bench,
        lease=lease,
        job=job,
        snapshots=read_snapshots(lease.fields),
        plan=plan_ladder(job.request, settings, PROVIDERS),
        attempt_log=AttemptLog(
            lease, bench.store, read_attempts(lease.fields), max_calls=bench.settings.env.calls_per_image
        ),
        there={image.index for image in job.images},
        seen={image.sha256: image.index for image in job.images},
    )


class JobRun:
    """One run of one job."""

    def __init__(self, lease: Lease, bench: WorkerContext) -> None:
        job = read_job(lease.fields, None)
        self._settings = accepted_with(lease.fields, job.request, bench.settings)
        self._desk = lay_out(lease, bench, job, self._settings)
        self._lease = lease
        self._bench = bench

    async def develop(self, hold: HeldJob) -> None:
        """Take the job from where it stands to its end, to its next wait, or back into the queue."""
        try:
            await self._develop()
        except asyncio.CancelledError:
            if hold.is_draining:
                await self._give_back()

    async def _develop(self) -> None:
        await self._take_stored()
        await self._desk.attempt_log.settle(Outcome.LOST, delivered=frozenset(self._desk.there))
        for name, model in {rung.route for rung in self._desk.plan.rungs}:
            key = self._settings.provider(name).key
            self._desk.breakers[name, model] = self._bench.breakers.to(name, key, model)
        await self._desk.recall()
        async with AsyncExitStack() as stack:
            stack.callback(self._desk.let_go)
            for name in {rung.provider for rung in self._desk.plan.rungs}:
                config = self._settings.provider(name)
                talk = ProviderClient(PROVIDERS[name], config, self._bench.wire, job_id=self._desk.job.id)
                self._desk.clients[name] = await stack.enter_async_context(talk)
            stops = await self._make_missing()
        await self._desk.clear()
        await self._conclude(stops)

    async def _give_back(self) -> None:
        """Put the job back into the queue, because this worker stops; without Redis its lease just ends."""
        with suppress(TimeoutError):
            async with asyncio.timeout(GIVE_BACK_S):
                await self._desk.attempt_log.settle(Outcome.CANCELLED)
                await persist(self._bench.store.release, self._lease, note=STOPPED)

    async def _take_stored(self) -> None:
        """Take artifacts that a run before this one completed but could not report."""
        for index in self._desk.missing():
            name = artifact_id(self._desk.job.id, index)
            sidecar = await asyncio.to_thread(self._bench.writer.stored, self._desk.job, name)
            sidecar = sidecar or await self._restored(index, name)
            if sidecar is not None:
                await self._desk.report(sidecar)

    async def _restored(self, index: int, artifact: str) -> Sidecar | None:
        """Take a whole picture whose sidecar was damaged: it has been paid for."""
        with suppress(ProviderError, OSError):
            data = await asyncio.to_thread(self._bench.writer.left, self._desk.job, artifact)
            picture = (await self._bench.wire.sandbox.read(bytearray(data))).picture if data else None
            if picture is None:
                return None
            sidecar = await Delivery(index, self._desk).restore(picture)
            if sidecar is not None:
                logger.warning(
                    "the damaged sidecar of %s was written anew", artifact, extra={"job_id": self._lease.job_id}
                )
            return sidecar
        return None

    async def _make_missing(self) -> list[Later | GiveUp | Stopped]:
        """Make all missing images at the same time; answer what stopped those that could not be made."""
        try:
            async with asyncio.TaskGroup() as group:
                walks = [ImageRun(index, self._desk) for index in self._desk.missing()]
                tasks = [group.create_task(walk.make()) for walk in walks]
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        stops = [await self._serve(walk, task.result()) for walk, task in zip(walks, tasks, strict=True)]
        return [stop for stop in stops if stop is not None]

    async def _serve(self, walk: ImageRun, stop: Later | GiveUp | Stopped | None) -> Later | GiveUp | Stopped | None:
        """Give an image that was given up a picture that another one's call has brought since."""
        spare = None if stop is None else self._desk.spare(walk.index)
        return stop if spare is None else await walk.delivery.take(spare)

    async def _conclude(self, stops: list[Later | GiveUp | Stopped]) -> None:
        waits = [stop for stop in stops if isinstance(stop, Later)]
        codes = [stop.code for stop in stops if isinstance(stop, GiveUp)]
        if waits:
            longest = max(waits, key=lambda wait: wait.wait_s)
            note = wording.waiting(longest.provider, longest.code, longest.wait_s)
            at_gate = all(wait.at_gate for wait in waits)
            await persist(self._bench.store.release, self._lease, wait_s=longest.wait_s, note=note, at_gate=at_gate)
            failpoint.reach("after_release")
        elif any(isinstance(stop, Stopped) for stop in stops):
            await persist(self._bench.store.release, self._lease, note=STOPPED)
        elif codes:
            code = most_useful(codes)
            state = JobState.EXPIRED if code == DEADLINE_PASSED.code else JobState.FAILED
            await end(self._lease, self._bench.store, state, self._desk.attempt_log.error(code))
        else:
            await end(self._lease, self._bench.store, JobState.SUCCEEDED)
