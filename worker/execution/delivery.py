"""A picture that a call has brought, on its way to disk and into its job."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from contract.artifacts.artifact_store import ArtifactStore
from contract.artifacts.sidecar import Sidecar
from contract.errors.catalogue.job_failure import STORAGE_FULL
from contract.errors.exceptions import DarkroomError
from contract.jobs import wording
from contract.jobs.job import Attempt
from contract.store.lease import LeaseLost
from contract.store.worker_store import WorkerStore
from worker import failpoint
from worker.execution.attempt_log import persist
from worker.execution.context import JobContext
from worker.execution.sibling_images import SparePicture
from worker.policy.retry_policy import GiveUp
from worker.sandbox.pool import Picture

logger = logging.getLogger(__name__)


class Delivery:
    """Stores the pictures of one job and adds them to it."""

    def __init__(self, context: JobContext, *, store: WorkerStore, artifacts: ArtifactStore) -> None:
        self._context = context
        self._store = store
        self._artifacts = artifacts

    async def take(self, index: int, spare: SparePicture) -> GiveUp | None:
        """Store and report a picture that another image's call has brought."""
        with spare.share:
            return await self.store(index, spare.number, spare.picture)

    async def store(self, index: int, number: int, picture: Picture, *, unused: int = 0) -> GiveUp | None:
        """Store and report a picture that a call has brought, perhaps that of another image."""
        attempt = self._context.attempts.attempt(number)
        saving = asyncio.create_task(self._save(index, attempt, picture))
        try:
            sidecar = await asyncio.shield(saving)  # a thread cannot be stopped halfway
            await self.report(sidecar, text=wording.arrived(index, asked_for=attempt.index, unused=unused))
            failpoint.reach("after_report")
        except OSError as error:
            logger.error("cannot store an image: %s", error.strerror, extra={"job_id": self._context.job.id})
            return GiveUp(STORAGE_FULL.code)
        except (LeaseLost, asyncio.CancelledError):
            await _to_its_end(self._take_back(saving))
            raise
        return None

    async def report(self, sidecar: Sidecar, *, text: str = "") -> None:
        """Add a stored image to the job; `text` tells more of it. Raises LeaseLost."""
        image = sidecar.image()
        await persist(self._store.add_image, self._context.lease, image, text=text)
        self._context.images.note_stored(image)

    async def restore(self, index: int, picture: Picture) -> Sidecar | None:
        """Write a new sidecar for a picture from a call of an earlier run; None if no such call is known."""
        brought = self._context.attempts.delivered_for(index)
        return None if brought is None else await self._save(index, brought, picture)

    async def _save(self, index: int, attempt: Attempt, picture: Picture) -> Sidecar:
        """Write an image and its sidecar."""
        context = self._context
        sidecar = Sidecar.of(
            context.job,
            index,
            picture,
            locator=self._artifacts.locator,
            attempt=attempt,
            attempts=context.attempts.history(index),
            requested=context.ladder.rungs[0].rendition(),
            snapshots=context.snapshots,
            reasons=context.attempts.reasons(index, attempt),
            created_at=context.attempts.now(),
        )
        return await self._artifacts.put(context.job, sidecar, picture.data)

    async def _take_back(self, saving: asyncio.Task[Sidecar]) -> None:
        """Remove a stored image unless its job lists it, or can still take it from disk."""
        with suppress(OSError, DarkroomError):
            sidecar = await saving
            job = await self._store.get(self._context.job.id)
            if job.is_over and sidecar.id not in {image.id for image in job.images}:
                await self._artifacts.delete(sidecar.path)


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Do something wholly, although its caller is cancelled meanwhile, as by a sibling that lost the lease."""
    task = asyncio.create_task(work)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    task.result()
