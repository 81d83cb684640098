"""The job table for writers: every change of a job is one Lua script, run by Redis in one step.

Whatever Redis does, callers see `Unavailable` or an answer.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import ClassVar

from redis.asyncio import Redis

from contract.redis.client import reaching_redis
from contract.store.doorbell import Doorbell
from contract.store.job_reader import JobReader
from contract.store.keys import DELETING
from contract.store.scripts import Scripts


class JobWriter(JobReader):
    """The part that `ProducerStore` and `WorkerStore` have in common: their scripts, and the doorbell."""

    SCRIPTS: ClassVar[tuple[str, ...]]

    def __init__(self, redis: Redis, doorbell: Doorbell) -> None:
        super().__init__(redis)
        self._doorbell = doorbell
        self._run = Scripts(redis, self.SCRIPTS).run

    async def end_deletion(self, job_id: str) -> None:
        """Say that the images of a deleted job are removed. Raises Unavailable."""
        async with reaching_redis():
            await self.redis.hdel(DELETING, job_id)


def new_name() -> str:
    """Name what is asked of a script, so that the script knows a repeat."""
    return secrets.token_hex(5)


def pairs(flat: Sequence[str]) -> dict[str, str]:
    """Read a hash as scripts answer it."""
    return dict(zip(flat[::2], flat[1::2], strict=True))
