"""Strays: whole artifacts that their job does not list, for its worker was killed before it could report them.

A job that goes on takes them from disk. One that was cancelled, failed, expired or deleted meanwhile never will, so
they are removed: an image of a cancelled job must not appear later.
"""

from __future__ import annotations

import logging

from contract.artifacts.artifact_store import ArtifactStore
from contract.artifacts.sidecar import Sidecar
from contract.errors.exceptions import DarkroomError, Refused, Unavailable
from contract.store.worker_store import WorkerStore

logger = logging.getLogger(__name__)


class Orphans:
    """Takes back what ended jobs do not list."""

    def __init__(self, store: WorkerStore, artifacts: ArtifactStore) -> None:
        self._store = store
        self._artifacts = artifacts

    async def finish_deletions(self) -> None:
        """Remove the images of deleted jobs whose deletion was not finished. Raises Unavailable."""
        for job in await self._store.unfinished_deletions():
            gone = [await self._delete(image.path, job.id) for image in job.images]
            if all(gone):
                await self._store.end_deletion(job.id)

    async def take_back(self) -> None:
        """Look through the last days once. Raises Unavailable."""
        for sidecar in await self._artifacts.recent():
            if await self._is_stray(sidecar):
                await self._delete(sidecar.path, sidecar.job_id)

    async def _delete(self, locator: str, job_id: str) -> bool:
        try:
            await self._artifacts.delete(locator)
        except OSError as error:
            logger.warning("an image of an ended job stays: %s", error.strerror, extra={"job_id": job_id})
            return False
        logger.info("removed an image of an ended job", extra={"job_id": job_id})
        return True

    async def _is_stray(self, sidecar: Sidecar) -> bool:
        try:
            job = await self._store.get(sidecar.job_id)
        except Refused:  # deleted, or forgotten, or another Darkroom's
            return await self._store.is_deleted(sidecar.job_id)
        except Unavailable:
            raise
        except DarkroomError:  # it is unknown
            return False
        return job.is_over and not await self._store.lists_image(sidecar.job_id, sidecar.index)
