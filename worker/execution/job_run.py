"""One job in a worker, as named steps: claim, settle what an earlier run left, make the missing images, conclude.

Artifacts that are complete on disk are taken, and calls that never ended count as lost. Each image then goes down
the ladder on its own, all at the same time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from contract.artifacts.sidecar import Sidecar
from contract.errors.catalogue.job_failure import DEADLINE_PASSED, INTERNAL_ERROR
from contract.errors.exceptions import DarkroomError, Unavailable
from contract.jobs import wording
from contract.jobs.ids import artifact_id
from contract.jobs.job import JobState, Outcome
from contract.redis.client import reaching_redis
from contract.store.job_writer import new_name
from contract.store.lease import Lease, LeaseLost
from contract.store.worker_store import WorkerStore
from contract.telemetry.logs import about
from worker import failpoint
from worker.answers.errors import ProviderError
from worker.execution.attempt_log import persist
from worker.execution.context import JobContext, WorkerContext
from worker.execution.delivery import Delivery
from worker.execution.image_run import ImageRun, Stopped
from worker.execution.images_per_answer import asked_for
from worker.execution.leases import HeldJob
from worker.execution.provider_call import CallResources
from worker.execution.reference_urls import ReferenceUrls
from worker.http.provider_client import ProviderClient
from worker.policy.backoff import until_reachable
from worker.policy.retry_policy import GiveUp, Later, most_useful
from worker.providers.registry import PROVIDERS

GIVE_BACK_S = 5.0
CLAIM_S = 2.0
STOPPED = "Its worker was stopped; another one goes on."

Stop = Later | GiveUp | Stopped

logger = logging.getLogger(__name__)


async def run(job_id: str, worker: WorkerContext) -> None:
    """Run a job as far as it can be run now; nothing happens if it is not to be had."""
    if worker.leases.is_closed():
        return
    with about(job_id=job_id):
        lease = await _claim(job_id, worker)
        if lease is not None:
            failpoint.reach("after_claim")
            await _run(lease, worker)


async def _claim(job_id: str, worker: WorkerContext) -> Lease | None:
    """Claim a job until Redis answers: a lease that nobody knows of would count as a crash. Raises Unavailable."""
    claim, lease_s = new_name(), worker.settings.env.lease_seconds

    async def ask() -> Lease | None:
        async with reaching_redis(), asyncio.timeout(min(CLAIM_S, lease_s / 4)):  # nobody renews it meanwhile
            return await worker.store.claim(job_id, worker=worker.worker, lease_s=lease_s, claim=claim)

    return await until_reachable(is_stopping=worker.leases.is_closed)(ask)


async def _run(lease: Lease, worker: WorkerContext) -> None:
    job_id = lease.job_id
    with worker.leases.hold(lease) as held, suppress(LeaseLost, asyncio.CancelledError):  # it is others' now
        if worker.leases.is_closed():  # the claim was under way
            await persist(worker.store.release, lease, writing=new_name())
            return
        try:
            await JobRun(JobContext.of(lease, worker), worker).run(held)
        except (LeaseLost, Unavailable):
            logger.warning("job %s is left to others", job_id, extra={"job_id": job_id})
        except DarkroomError as error:
            await end(lease, worker.store, JobState.FAILED, error)
        except Exception:
            logger.exception("job %s failed inside Darkroom", job_id, extra={"job_id": job_id})
            await end(lease, worker.store, JobState.FAILED, DarkroomError(INTERNAL_ERROR))


async def end(lease: Lease, store: WorkerStore, state: JobState, error: DarkroomError | None = None) -> None:
    """Write the end of a job. Raises LeaseLost."""
    reached = await persist(store.end, lease, state, error, writing=new_name())
    failpoint.reach("after_commit_before_ack")
    why = f": {error.code}" if error and reached is not JobState.CANCELLED else ""
    logger.info("job %s %s%s", lease.job_id, reached, why, extra={"job_id": lease.job_id})


class JobRun:
    """One run of one job."""

    def __init__(self, context: JobContext, worker: WorkerContext) -> None:
        self._context = context
        self._worker = worker
        self._delivery = Delivery(context, store=worker.store, artifacts=worker.artifacts)

    async def run(self, held: HeldJob) -> None:
        """Take the job from where it stands to its end, to its next wait, or back into the queue."""
        try:
            await self._take_stored_images()
            await self._settle_lost_calls()
            async with self._opened_resources() as resources:
                await self._look_up_images_per_answer(resources)
                stops = await self._make_missing_images(resources)
            await self._write_unused_pictures()
            held.is_concluding = True
            await self._conclude(stops)
        except asyncio.CancelledError:
            if held.is_draining:
                await self._give_back()

    async def _take_stored_images(self) -> None:
        """Take artifacts that a run before this one completed but could not report."""
        job = self._context.job
        for index in self._context.images.missing():
            name = artifact_id(job.id, index)
            sidecar = await self._worker.artifacts.complete(job, name)
            sidecar = sidecar or await self._restored(index, name)
            if sidecar is not None:
                await self._delivery.report(sidecar)

    async def _restored(self, index: int, artifact: str) -> Sidecar | None:
        """Take a whole picture whose sidecar was damaged: it has been paid for."""
        job = self._context.job
        with suppress(ProviderError, OSError):
            data = await self._worker.artifacts.salvage(job, artifact)
            picture = (await self._worker.sandbox.read(bytearray(data))).picture if data else None
            sidecar = await self._delivery.restore(index, picture) if picture else None
            if sidecar is not None:
                logger.warning("the damaged sidecar of %s was written anew", artifact, extra={"job_id": job.id})
            return sidecar
        return None

    async def _settle_lost_calls(self) -> None:
        """End the calls that an earlier run left open."""
        await self._context.attempts.settle(Outcome.LOST, delivered=self._context.images.stored())

    @asynccontextmanager
    async def _opened_resources(self) -> AsyncIterator[CallResources]:
        """Open what the calls of this job are made with. Raises Refused."""
        context, worker = self._context, self._worker
        routes = {rung.route for rung in context.ladder.rungs}
        configs = {name: context.settings.provider(name) for name, _ in routes}
        async with AsyncExitStack() as stack:
            stack.callback(context.images.release_memory)
            clients = {
                name: await stack.enter_async_context(
                    ProviderClient(PROVIDERS[name], config, worker.http, job_id=context.job.id)
                )
                for name, config in configs.items()
            }
            yield CallResources(
                clients=clients,
                breakers={(name, model): worker.breakers.to(name, configs[name].key, model) for name, model in routes},
                references=ReferenceUrls(worker.artifacts, worker.http.sandbox, context.snapshots),
                delivery=self._delivery,
                images_per_answer=worker.images_per_answer,
                leases=worker.leases,
                budget=worker.budget,
            )

    async def _look_up_images_per_answer(self, resources: CallResources) -> None:
        """Find out how many pictures a call may bring, where that matters; without Redis it is as configured."""
        context = self._context
        if len(context.images.missing()) < 2:
            return
        known = {route: asked_for(context.settings.provider(route[0]).extra_body) for route in resources.breakers}
        with suppress(Unavailable):
            known |= await resources.images_per_answer.look_up(resources.breakers)
        context.images.per_answer.known = known

    async def _make_missing_images(self, resources: CallResources) -> list[Stop]:
        """Make all missing images at the same time; answer what stopped those that could not be made."""
        try:
            async with asyncio.TaskGroup() as group:
                indices = self._context.images.missing()
                runs = [ImageRun(index, self._context, resources) for index in indices]
                tasks = [group.create_task(run.make()) for run in runs]
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        stops = [await self._serve(index, task.result()) for index, task in zip(indices, tasks, strict=True)]
        return [stop for stop in stops if stop is not None]

    async def _serve(self, index: int, stop: Stop | None) -> Stop | None:
        """Give an image that was given up a picture that another one's call has brought since."""
        spare = None if stop is None else self._context.images.take_spare(index)
        return stop if spare is None else await self._delivery.take(index, spare)

    async def _write_unused_pictures(self) -> None:
        """Write how many pictures became no image, now that no image can take them any more. Raises LeaseLost."""
        self._context.images.drop_spares()
        await self._context.attempts.waste(self._context.images.unused)

    async def _conclude(self, stops: list[Stop]) -> None:
        """End the job, or give it back to the queue until its next wait is over. Raises LeaseLost."""
        lease, store = self._context.lease, self._worker.store
        waits = [stop for stop in stops if isinstance(stop, Later)]
        codes = [stop.code for stop in stops if isinstance(stop, GiveUp)]
        if waits:
            longest = max(waits, key=lambda wait: wait.wait_s)
            note = wording.waiting(longest.provider, longest.code, longest.wait_s)
            at_breaker = all(wait.at_breaker for wait in waits)
            await persist(
                store.release,
                lease,
                wait_s=longest.wait_s,
                note=note,
                at_breaker=at_breaker,
                writing=new_name(),
            )
            failpoint.reach("after_release")
        elif any(isinstance(stop, Stopped) for stop in stops):
            await persist(store.release, lease, note=STOPPED, writing=new_name())
        elif codes:
            code = most_useful(codes)
            state = JobState.EXPIRED if code == DEADLINE_PASSED.code else JobState.FAILED
            await end(lease, store, state, self._context.attempts.error(code))
        else:
            await end(lease, store, JobState.SUCCEEDED)

    async def _give_back(self) -> None:
        """Put the job back into the queue, because this worker stops; without Redis its lease just ends."""
        with suppress(TimeoutError):
            async with asyncio.timeout(GIVE_BACK_S):
                await self._context.attempts.settle(Outcome.CANCELLED)
                await persist(self._worker.store.release, self._context.lease, note=STOPPED, writing=new_name())
