"""A picture that a call has brought, on its way to disk and into its job."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from contract.artifacts.sidecar import Sidecar, artifact_id
from contract.errors.exceptions import DarkroomError
from contract.errors.job_catalogue import STORAGE_FULL
from contract.jobs import wording
from contract.jobs.job import Attempt, Rendition
from contract.store.lease import LeaseLost
from worker import failpoint
from worker.execution.context import JobContext, SpareImage
from worker.policy.retry_policy import GiveUp
from worker.sandbox.pool import Picture

logger = logging.getLogger(__name__)


class Delivery:
    """How one image of a job is stored and reported."""

    def __init__(self, index: int, desk: JobContext) -> None:
        self.index = index
        self.passed: list[str] = []  # why rungs were left out without a call, in words
        self._desk = desk

    async def take(self, spare: SpareImage) -> GiveUp | None:
        """Store and report a picture that another image's call has brought."""
        with spare.share:
            return await self.store(spare.number, spare.picture)

    async def store(self, number: int, picture: Picture, *, unused: int = 0) -> GiveUp | None:
        """Store and report a picture that a call has brought, perhaps that of another image."""
        desk = self._desk
        attempt = desk.attempt_log.attempt(number)
        said = wording.arrived(self.index, asked_for=attempt.index, unused=unused)
        saving = asyncio.create_task(asyncio.to_thread(self._save, attempt, picture))
        try:
            sidecar = await asyncio.shield(saving)  # a thread cannot be stopped halfway
            await desk.report(sidecar, text=said)
            failpoint.reach("after_report")
        except OSError as error:
            logger.error("cannot store an image: %s", error.strerror, extra={"job_id": desk.job.id})
            return GiveUp(STORAGE_FULL.code)
        except (LeaseLost, asyncio.CancelledError):
            await _to_its_end(self._take_back(saving))
            raise
        return None

    def _save(self, attempt: Attempt, picture: Picture) -> Sidecar:
        """Write an image and its sidecar; blocking."""
        desk = self._desk
        name = artifact_id(desk.job.id, self.index)
        delivered = Rendition(**attempt.model_dump(include={"provider", "model", "image_size", "quality"}))
        history = desk.attempt_log.history(self.index)
        costs = [known.cost_usd for known in history if known.cost_usd is not None]
        others = () if attempt.index == self.index else (attempt,)
        reasons = "; ".join(
            filter(None, [*dict.fromkeys(self.passed), wording.reasons(desk.attempt_log.history(attempt.index))])
        )
        beside = tuple(f"It came in the answer for image {other.index + 1}." for other in others)
        sidecar = Sidecar(
            id=name,
            path=str(desk.bench.writer.folder(desk.job) / f"{name}.{picture.extension}"),
            mime=picture.mime,
            prompt=desk.job.request.prompt,
            model=delivered.model,
            provider=delivered.provider,
            source_images=tuple(snapshot.source for snapshot in desk.snapshots),
            created_at=desk.attempt_log.now().astimezone().isoformat(timespec="seconds"),
            job_id=desk.job.id,
            index=self.index,
            width=picture.width,
            height=picture.height,
            sha256=picture.sha256,
            bytes=len(picture.data),
            requested=desk.plan.rungs[0].rendition(),
            delivered=delivered,
            degraded=reasons if attempt.rung else None,
            attempts=(*history, *others),
            cost_usd=round(sum(costs), 6) if costs or others else None,
            warnings=(*picture.warnings, *beside),
        )
        return desk.bench.writer.save(desk.job, sidecar, picture.data)

    async def restore(self, picture: Picture) -> Sidecar | None:
        """Describe a picture anew that a call of an earlier run has brought; None when no call is known to have."""
        brought = self._desk.attempt_log.delivered_for(self.index)
        return None if brought is None else await asyncio.to_thread(self._save, brought, picture)

    async def _take_back(self, saving: asyncio.Task[Sidecar]) -> None:
        """Remove a stored image unless its job lists it, or can still take it from disk."""
        bench = self._desk.bench
        with suppress(OSError, DarkroomError):
            sidecar = await saving
            job = await bench.store.get(self._desk.job.id)
            if job.is_over and sidecar.id not in {image.id for image in job.images}:
                await asyncio.to_thread(bench.writer.discard, sidecar)


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Do something wholly; whoever cancels it meanwhile (a sister that lost the lease, its renewal) has to wait."""
    task = asyncio.create_task(work)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    task.result()
