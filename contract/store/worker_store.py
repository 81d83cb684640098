"""The job table for workers: claim a job, hold its lease, record calls and images, end it, and bring lost ones back.

Writes of a running job carry the fence of its claim; one with an old fence raises `LeaseLost` and changes nothing.
`claim` and `writing` name what is asked: with the same name a repeat, as after a lost answer, is answered the same.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import ClassVar, Literal

from redis.asyncio import Redis

from contract.errors.exceptions import DarkroomError, Unavailable
from contract.jobs.job import Attempt, Image, Job, JobState
from contract.redis.client import reaching_redis
from contract.store.doorbell import Doorbell
from contract.store.job_hash import failure, read_job
from contract.store.job_writer import JobWriter, new_name, pairs
from contract.store.keys import DAMAGED, DELETING, job_key, owner_key
from contract.store.lease import CallRefused, Lease, LeaseLost
from contract.version import Newer, own_version

logger = logging.getLogger(__name__)


class WorkerStore(JobWriter):
    """What a worker can do to a job."""

    SCRIPTS: ClassVar[tuple[str, ...]] = (
        "jobs/claim",
        "jobs/renew",
        "jobs/begin_attempt",
        "jobs/end_attempt",
        "jobs/add_image",
        "jobs/end",
        "jobs/release",
        "upkeep/sweep",
        "upkeep/ring_doorbell",
    )

    def __init__(self, redis: Redis, doorbell: Doorbell) -> None:
        super().__init__(redis, doorbell)
        self._newer = Newer()

    async def unfinished_deletions(self) -> list[Job]:
        """List deleted jobs whose images may be there still. Raises Unavailable."""
        async with reaching_redis():
            found = await self.redis.hvals(DELETING)
        jobs = []
        for text in found:
            with suppress(DarkroomError, ValueError, KeyError):  # another version's
                jobs.append(read_job(pairs(json.loads(text)["fields"]), None))
        return jobs

    async def claim(self, job_id: str, *, worker: str, lease_s: float, claim: str = "") -> Lease | None:
        """Take a queued job that may start now, or nothing; ring for those it has made room for."""
        answer = await self._run("jobs/claim", job_id, worker, int(lease_s * 1000), claim or new_name())
        if not answer:
            return None
        if answer[0] == "newer":
            await self.leave(job_id, answer[1])
            return None
        fence, now, deadline, flat, admitted = answer
        lease = Lease(job_id=job_id, fence=fence, deadline_ms=deadline, claimed_ms=now, fields=pairs(flat))
        with suppress(Unavailable):  # the sweeper will ring
            await self.ring(admitted)
        return lease

    async def leave(self, job_id: str, contract: int) -> None:
        """Leave a job of a newer version to its workers, whose bells we do not hear. Raises Unavailable."""
        self._newer.leave(contract, job_id)
        await self.ring([job_id])

    async def renew(self, worker: str, leases: Iterable[Lease], *, lease_s: float, slots: int = 0) -> list[str]:
        """Prolong leases and the worker's sign of life; answer the ids that are not its own any more.

        `slots` is how many jobs it runs at a time, 0 if that is not told.
        """
        holds = [part for lease in leases for part in (lease.job_id, lease.fence)]
        return list(await self._run("jobs/renew", worker, int(lease_s * 1000), slots, own_version(), *holds))

    async def begin_attempt(self, lease: Lease, number: int, attempt: Attempt, *, max_calls: int) -> None:
        """Count and record a call before it is made, one of so many for its image. Raises CallRefused, LeaseLost."""
        told = {"index", "rung", "provider", "model", "image_size", "quality"}
        event = {"type": "attempt", **attempt.model_dump(include=told, exclude_none=True)}
        answer = await self._fenced(
            "jobs/begin_attempt", lease, number, max_calls, attempt.model_dump_json(), json.dumps(event)
        )
        if answer != "ok":
            raise CallRefused(answer)

    async def end_attempt(
        self,
        lease: Lease,
        number: int,
        attempt: Attempt,
        *,
        event: Literal["", "retry", "fallback", "unused"] = "",
        text: str = "",
        writing: str = "",
    ) -> None:
        """Write how a call ended and, if the ladder goes on, how. Raises LeaseLost."""
        told = json.dumps({"type": event, "index": attempt.index, "text": text}) if event else ""
        said = (told, text, writing or new_name())
        await self._fenced("jobs/end_attempt", lease, number, attempt.model_dump_json(), *said)

    async def add_image(self, lease: Lease, image: Image, *, text: str = "") -> None:
        """Add a stored image, and tell of it; adding it again changes nothing. Raises LeaseLost."""
        told = {"text": text} if text else {}
        event = {"type": "image", "index": image.index, "image": image.id, **told}
        await self._fenced(
            "jobs/add_image", lease, image.index, image.model_dump_json(), json.dumps(event), image.id, image.path
        )

    async def end(
        self, lease: Lease, state: JobState, error: DarkroomError | None = None, *, writing: str = ""
    ) -> JobState:
        """End a job; one with images that `failed` has `succeeded` in part. Raises LeaseLost."""
        told = failure(error) if error else ""
        answer = await self._run("jobs/end", lease.job_id, lease.fence, state, told, writing or new_name())
        if answer == "lost":
            raise LeaseLost(lease.job_id)
        ended, admitted = answer
        with suppress(Unavailable):  # the sweeper will ring
            await self.ring(admitted)
        return JobState(ended)

    async def release(
        self, lease: Lease, *, wait_s: float = 0, note: str = "", at_breaker: bool = False, writing: str = ""
    ) -> None:
        """Give the job back to the queue, to start again after `wait_s`. Raises LeaseLost.

        With `at_breaker` the job waits for nothing but a circuit breaker, which may wake it before.
        """
        event = {"type": "waiting" if wait_s else "queued", "text": note}
        bell = self._doorbell.bell(lease.job_id)
        told = (int(wait_s * 1000), note, bell, json.dumps(event), int(at_breaker), writing or new_name())
        await self._fenced("jobs/release", lease, *told)

    async def sweep(self, sweeper: str, *, patience_s: float, lock_s: float, bell_s: float) -> int:
        """Bring lost jobs and bells back, if no other sweeper does; answer how many bells were rung.

        Leases are judged once sweepers have reached Redis for `patience_s` without a gap of that length.
        """
        silent, damaged, *newer = await self._run(
            "upkeep/sweep", sweeper, int(lock_s * 1000), int(patience_s * 1000), int(bell_s * 1000), 100
        )
        await self._let_go(damaged)
        if newer:
            self._newer.leave(newer[1], newer[0])
        return await self.ring(silent)

    async def ring(self, job_ids: Sequence[str]) -> int:
        """Ring for those jobs that are ready; answer how many they were."""
        if not job_ids:
            return 0
        bells = (part for job_id in job_ids for part in (job_id, self._doorbell.bell(job_id)))
        return int(await self._run("upkeep/ring_doorbell", *bells))

    async def _let_go(self, damaged: Sequence[str]) -> None:
        """Tell of damaged jobs that have ended, and take them out of their owners' lists, whose names may be lost."""
        for job_id in damaged:
            logger.error("job %s is damaged in Redis, so it has ended", job_id, extra={"job_id": job_id})
            async with reaching_redis():
                owner = await self.redis.hget(job_key(job_id), "owner")
                if owner is not None:
                    await self.redis.zrem(owner_key(str(owner), "active"), job_id)
                    await self.redis.zrem(owner_key(str(owner), "parked"), job_id)
                    await self.redis.srem(owner_key(str(owner), "running"), job_id)
                await self.redis.srem(DAMAGED, job_id)

    async def _fenced(self, script: str, lease: Lease, *args: str | int) -> str:
        answer = str(await self._run(script, lease.job_id, lease.fence, *args))
        if answer == "lost":
            raise LeaseLost(lease.job_id)
        return answer
