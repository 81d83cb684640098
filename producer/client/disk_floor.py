"""The disk for images has a floor: while less of it is free, nothing is accepted that would take more of it."""

from __future__ import annotations

import time

from contract.artifacts.artifact_store import ArtifactStore
from contract.errors.catalogue.queue import STORAGE_LOW
from contract.errors.exceptions import Refused

LOOK_S = 1.0
RETRY_S = 60


class DiskFloor:
    """Looks at the disk now and then."""

    def __init__(self, artifacts: ArtifactStore, *, least_free: int) -> None:
        self._artifacts = artifacts
        self._least_free = least_free
        self._looked_at = -LOOK_S
        self._is_low = False

    async def check(self) -> None:
        """Require room; a directory that is not there is not ours to judge. Raises Refused (`storage_low`)."""
        if time.monotonic() - self._looked_at >= LOOK_S:
            self._looked_at = time.monotonic()
            room = await self._artifacts.room()
            self._is_low = room.is_there and room.free < self._least_free
        if self._is_low:
            raise Refused(STORAGE_LOW, retry_after_s=RETRY_S)
