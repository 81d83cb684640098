"""The job table: every change of a job is one Lua script, run by Redis in one step.

Reads need no script. Writes of a running job carry the fence of its claim; one with an old fence
raises `LeaseLost` and changes nothing. Whatever Redis does, callers see `Unavailable` or an answer.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Literal

from redis.asyncio import Redis

from contract.errors.exceptions import DarkroomError, Refused, Unavailable
from contract.errors.queue_catalogue import BUDGET_SPENT, QUEUE_FULL, TOO_MANY_JOBS, TOO_MANY_UPLOADS
from contract.errors.request_catalogue import IDEMPOTENCY_KEY_REUSED, JOB_NOT_FOUND
from contract.jobs.job import Attempt, Image, Job, JobState, ReferenceSnapshot
from contract.redis.client import PREFIX, Scripts, reaching_redis
from contract.store.doorbell import Doorbell
from contract.store.job_hash import failure, read_job, read_state
from contract.store.job_reader import JobReader, owner_key
from contract.store.lease import CallRefused, Lease, LeaseLost
from contract.store.new_job import NewJob, digest, micro
from contract.version import Newer, own_version

# The names that go with the table, so that nobody else has to know where each of them lives.
__all__ = ["EVENTS_CHANNEL", "CallRefused", "JobStore", "Lease", "LeaseLost", "NewJob", "digest"]

EVENTS_CHANNEL = PREFIX + "events"
logger = logging.getLogger(__name__)

UPLOAD_S = 86_400  # the janitor leaves a reference image alone for longer than that

_SCRIPTS = (
    *("jobs/submit", "jobs/claim", "jobs/renew", "jobs/begin_attempt", "jobs/end_attempt", "jobs/add_image"),
    *(
        "jobs/end",
        "jobs/release",
        "jobs/cancel",
        "jobs/delete",
        "upkeep/sweep",
        "upkeep/ring_doorbell",
        "upkeep/add_upload",
        "upkeep/check_redis",
    ),
)


class JobStore(JobReader):
    """All that can be done to a job."""

    def __init__(self, redis: Redis, doorbell: Doorbell, *, retention_s: float = 7 * 86_400) -> None:
        super().__init__(redis)
        self._doorbell = doorbell
        self._retention_ms = int(retention_s * 1000)
        self._run = Scripts(redis, _SCRIPTS).run
        self._newer = Newer()

    async def submit(self, new: NewJob) -> tuple[str, bool]:
        """Accept a job; answer its id and whether an earlier job has this idempotency key.

        Raises Refused: the key was used for another request, or a cap is reached; then `values` may have
        a `retry_after_s`.
        """
        status, answer = await self._run(
            "jobs/submit",
            new.id,
            digest(new.owner),
            digest(new.idempotency_key) if new.idempotency_key else "",
            new.digest,
            int(new.queue_time_s * 1000),
            self._retention_ms,
            new.max_active,
            new.max_queued,
            self._doorbell.bell(new.id),
            new.max_running,
            micro(new.budget_usd),
            micro(new.most_usd),
            new.letter.outbox if new.letter else "",
            int(new.letter.hold_s * 1000) if new.letter else 0,
            *(part for item in new.fields().items() for part in item),
        )
        if refusal := _refusal(status, answer):
            raise refusal
        return answer, status == "replayed"

    async def cancel(self, job_id: str, *, owner: str | None = None, silently: bool = False) -> JobState:
        """Cancel a job unless it is over, and its letter if `silently`; answer the state it had.

        Raises Refused (`job_not_found`).
        """
        state = await self._run("jobs/cancel", job_id, "" if owner is None else digest(owner), int(silently))
        if state is None:
            raise Refused(JOB_NOT_FOUND)
        return read_state({"state": state, "ended_at": "1"})

    async def delete(self, job_id: str, *, owner: str) -> Job:
        """Forget a job, cancelling it first; answer it as it was, for its files. Raises Refused (`job_not_found`)."""
        flat = await self._run("jobs/delete", job_id, digest(owner), self._retention_ms)
        if flat is None:
            raise Refused(JOB_NOT_FOUND)
        return read_job(_pairs(flat), None)

    async def add_upload(self, owner: str, snapshot: ReferenceSnapshot, *, most: int) -> None:
        """Keep an uploaded reference image for a day, or renew it. Raises Refused (`too_many_uploads`)."""
        text = snapshot.model_dump_json()
        answer = await self._run("upkeep/add_upload", digest(owner), snapshot.sha256, text, int(UPLOAD_S * 1000), most)
        if answer != "ok":
            raise Refused(TOO_MANY_UPLOADS, max=most)

    async def check(self) -> None:
        """Find out whether Redis would take a job now. Raises Unavailable."""
        await self._run("upkeep/check_redis")

    async def note_recent(self, owner: str, what: str, job_id: str, *, for_s: float) -> None:
        """Remember for a while which job a request was answered with."""
        async with reaching_redis():
            await self.redis.set(owner_key(owner, "recent:" + digest(what)), job_id, px=int(1000 * for_s))

    async def begin_recent(self, owner: str, what: str, mark: str, *, for_s: float) -> str:
        """Mark a request as begun, unless something is remembered of it; answer what that is then."""
        key = owner_key(owner, "recent:" + digest(what))
        async with reaching_redis():
            is_first = await self.redis.set(key, mark, nx=True, px=int(1000 * for_s))
            found = None if is_first else await self.redis.get(key)
        return str(found or mark)

    async def forget_recent(self, owner: str, what: str) -> None:
        """Remember nothing of a request."""
        async with reaching_redis():
            await self.redis.delete(owner_key(owner, "recent:" + digest(what)))

    async def claim(self, job_id: str, *, worker: str, lease_s: float) -> Lease | None:
        """Take a queued job that may start now, or nothing; ring for those it has made room for."""
        answer = await self._run("jobs/claim", job_id, worker, int(lease_s * 1000), secrets.token_hex(8))
        if not answer:
            return None
        if answer[0] == "newer":
            await self.leave(job_id, answer[1])
            return None
        fence, now, deadline, flat, admitted = answer
        lease = Lease(job_id=job_id, fence=fence, deadline_ms=deadline, claimed_ms=now, fields=_pairs(flat))
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
    ) -> None:
        """Write how a call ended and, if the ladder goes on, how. Raises LeaseLost."""
        told = json.dumps({"type": event, "index": attempt.index, "text": text}) if event else ""
        await self._fenced("jobs/end_attempt", lease, number, attempt.model_dump_json(), told, text)

    async def add_image(self, lease: Lease, image: Image, *, text: str = "") -> None:
        """Add a stored image, and tell of it; adding it again changes nothing. Raises LeaseLost."""
        told = {"text": text} if text else {}
        event = {"type": "image", "index": image.index, "image": image.id, **told}
        await self._fenced(
            "jobs/add_image", lease, image.index, image.model_dump_json(), json.dumps(event), image.id, image.path
        )

    async def end(self, lease: Lease, state: JobState, error: DarkroomError | None = None) -> JobState:
        """End a job; one with images that `failed` has `succeeded` in part. Raises LeaseLost."""
        answer = await self._run("jobs/end", lease.job_id, lease.fence, state, failure(error) if error else "")
        if answer == "lost":
            raise LeaseLost(lease.job_id)
        ended, admitted = answer
        with suppress(Unavailable):  # the sweeper will ring
            await self.ring(admitted)
        return JobState(ended)

    async def release(self, lease: Lease, *, wait_s: float = 0, note: str = "", at_gate: bool = False) -> None:
        """Give the job back to the queue, to start again after `wait_s`. Raises LeaseLost.

        With `at_gate` the job waits for nothing but a gate, which may wake it before.
        """
        event = {"type": "waiting" if wait_s else "queued", "text": note}
        bell = self._doorbell.bell(lease.job_id)
        await self._fenced("jobs/release", lease, int(wait_s * 1000), note, bell, json.dumps(event), int(at_gate))

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
                owner = await self.redis.hget(f"{PREFIX}job:{job_id}", "owner")
                if owner is not None:
                    await self.redis.zrem(owner_key(str(owner), "active"), job_id)
                    await self.redis.zrem(owner_key(str(owner), "parked"), job_id)
                    await self.redis.srem(owner_key(str(owner), "running"), job_id)

    async def _fenced(self, script: str, lease: Lease, *args: str | int) -> str:
        answer = str(await self._run(script, lease.job_id, lease.fence, *args))
        if answer == "lost":
            raise LeaseLost(lease.job_id)
        return answer


def _refusal(status: str, answer: str | int) -> Refused | None:
    match status:
        case "reused":
            return Refused(IDEMPOTENCY_KEY_REUSED)
        case TOO_MANY_JOBS.code:
            return Refused(TOO_MANY_JOBS, max=answer, retry_after_s=10)
        case QUEUE_FULL.code:
            return Refused(QUEUE_FULL, retry_after_s=30)
        case BUDGET_SPENT.code:
            return Refused(BUDGET_SPENT, retry_after_s=int(answer))
    return None


def _pairs(flat: Sequence[str]) -> dict[str, str]:
    """Read a hash as scripts answer it."""
    return dict(zip(flat[::2], flat[1::2], strict=True))
