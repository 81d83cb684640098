"""The janitor: every hour it has the artifact store remove what killed workers left, and what no job can need."""

from __future__ import annotations

import asyncio
import logging

from contract.artifacts.artifact_store import ArtifactStore
from contract.errors.exceptions import Unavailable
from worker.artifacts.orphans import Orphans

TIDY_S = 3600.0
AGAIN_S = 60.0  # while Redis is away

logger = logging.getLogger(__name__)


class Janitor:
    """Tidies one artifact store; several may do so at the same time."""

    def __init__(self, artifacts: ArtifactStore, *, snapshot_age_s: float, orphans: Orphans) -> None:
        self._artifacts = artifacts
        self._snapshot_age_s = snapshot_age_s
        self._orphans = orphans

    async def keep(self) -> None:
        """Tidy now, and every hour for ever; sooner where Redis was away."""
        while True:
            try:
                await self._artifacts.remove_incomplete()
                await self._artifacts.remove_references(age_s=self._snapshot_age_s)
                await self._orphans.finish_deletions()
                await self._orphans.take_back()
            except Unavailable:
                logger.debug("Redis is away; what ended jobs left stays a little longer")
                await asyncio.sleep(AGAIN_S)
                continue
            except Exception:  # not worth a worker
                logger.exception("cannot tidy")
            await asyncio.sleep(TIDY_S)
