"""Strays: whole artifacts that their job does not list, for its worker was killed before it could report them.

A job that goes on takes them from disk. One that was cancelled, failed, expired or deleted meanwhile never will, so
they are taken back: nobody is to see an image of a cancelled job later.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from pathlib import Path

from contract.artifacts.sidecar import Sidecar
from contract.errors.exceptions import DarkroomError, Refused, Unavailable
from contract.store.worker_store import WorkerStore
from worker.artifacts.writer import Writer

DAYS = 3  # whose folders are looked at: a job does not live longer

logger = logging.getLogger(__name__)


class Orphans:
    """Takes back what ended jobs do not list."""

    def __init__(self, store: WorkerStore, writer: Writer, *, folder: Path) -> None:
        self._store = store
        self._writer = writer
        self._folder = folder

    async def take_back(self) -> None:
        """Look through the last days once. Raises Unavailable."""
        for sidecar in await asyncio.to_thread(self._lately):
            if await self._is_stray(sidecar):
                await asyncio.to_thread(self._writer.discard, sidecar)
                logger.info("took back an image of an ended job", extra={"job_id": sidecar.job_id})

    def _lately(self) -> list[Sidecar]:
        """Read the sidecars of the last days; blocking."""
        days = sorted(self._folder.glob("????-??-??"))[-DAYS:]
        sidecars = []
        for path in (path for day in days for path in day.glob("img_*.json")):
            with suppress(OSError, ValueError):  # ValueError: none of ours
                sidecars.append(Sidecar.model_validate_json(path.read_bytes()))
        return sidecars

    async def _is_stray(self, sidecar: Sidecar) -> bool:
        try:
            job = await self._store.get(sidecar.job_id)
        except Refused:  # deleted, or forgotten, or another Darkroom's
            return await self._store.is_deleted(sidecar.job_id)
        except Unavailable:
            raise
        except DarkroomError:  # nobody can tell
            return False
        return job.is_over and not await self._store.lists_image(sidecar.job_id, sidecar.index)
