"""The job table: every change of a job is one Lua script, run by Redis in one step.

Reads need no script. Writes of a running job carry the fence of its claim; one with an old fence
raises `LeaseLost` and changes nothing. Whatever Redis does, callers see `Unavailable` or an answer.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from redis.asyncio import Redis

from contract.doorbell import Doorbell
from contract.errors import DarkroomError, Refused
from contract.job import Attempt, Image, Job, JobEvent, JobRequest, JobState, Snapshot, moment
from contract.jobhash import failure, read_job
from contract.scripts import PREFIX, Scripts, reaching_redis

EVENTS_CHANNEL = PREFIX + "events"

_SCRIPTS = (
    *("submit", "claim", "renew", "begin_attempt", "end_attempt", "add_image"),
    *("end", "release", "cancel", "sweep", "ring"),
)


class LeaseLost(Exception):
    """The job is not this worker's any more: cancelled, or claimed by another."""


class CallRefused(Exception):
    """A provider call may not be made; the message is an error code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """What submit needs to know; digests keep owners and keys out of the names of Redis keys."""

    id: str
    owner: str
    conversation: str | None
    request: JobRequest
    snapshots: tuple[Snapshot, ...]
    idempotency_key: str | None = None
    queue_time_s: float
    run_time_s: float
    max_active: int
    max_queued: int
    webhook: str = ""  # whom its end is told to, as contract/webhook.py writes it

    @property
    def digest(self) -> str:
        """Fingerprint what was asked for, to tell a repeated request from another one."""
        snapshots = [snapshot.sha256 for snapshot in self.snapshots]
        return digest(json.dumps([self.request.model_dump(mode="json"), snapshots, self.conversation]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A worker's hold on a job, with Redis's time carried on by the local monotonic clock."""

    job_id: str
    fence: int
    deadline_ms: int
    fields: Mapping[str, str] = field(repr=False)
    claimed_ms: int
    claimed_at: float = field(default_factory=time.monotonic)

    def now_ms(self) -> float:
        """Tell Redis's time without asking it."""
        return self.claimed_ms + 1000 * (time.monotonic() - self.claimed_at)

    def left_s(self) -> float:
        """Tell how many seconds the job still has."""
        return (self.deadline_ms - self.now_ms()) / 1000


def digest(text: str) -> str:
    """Make a short fixed-form name of any text (80 bits)."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()


class JobStore:
    """All that can be done to a job."""

    def __init__(self, redis: Redis, doorbell: Doorbell, *, retention_s: float = 7 * 86_400) -> None:
        self.redis = redis
        self._doorbell = doorbell
        self._retention_ms = int(retention_s * 1000)
        self._run = Scripts(redis, _SCRIPTS).run

    async def submit(self, new: NewJob) -> tuple[str, bool]:
        """Accept a job; answer its id and whether an earlier job has this idempotency key.

        Raises Refused: the key was used for another request, or a cap is reached.
        """
        conversation = new.conversation or ""
        fields: dict[str, str | int] = {
            "owner": new.owner,
            "conversation": conversation,
            "conversation_digest": digest(conversation) if conversation else "",
            "request": new.request.model_dump_json(),
            "snapshots": json.dumps([snapshot.model_dump() for snapshot in new.snapshots]),
            "run_time": int(new.run_time_s * 1000),
            "webhook": new.webhook,
        }
        status, answer = await self._run(
            "submit",
            new.id,
            digest(new.owner),
            digest(new.idempotency_key) if new.idempotency_key else "",
            new.digest,
            int(new.queue_time_s * 1000),
            self._retention_ms,
            new.max_active,
            new.max_queued,
            self._doorbell.bell(new.id),
            *(part for item in fields.items() for part in item),
        )
        if status == "reused":
            raise Refused("idempotency_key_reused")
        if status in ("too_many_jobs", "queue_full"):
            raise Refused(status, max=answer)
        return answer, status == "replayed"

    async def get(self, job_id: str, *, owner: str | None = None) -> Job:
        """Read a job. Raises Refused (`job_not_found`), also for a job of another owner."""
        async with reaching_redis():
            pipe = self.redis.pipeline()
            pipe.hgetall(PREFIX + "job:" + job_id)
            pipe.zrank(PREFIX + "queued", job_id)
            fields, position = await pipe.execute()
        if not fields or (owner is not None and fields["owner"] != owner):
            raise Refused("job_not_found")
        return read_job(fields, position)

    async def state(self, job_id: str) -> JobState:
        """Read where a job stands, and nothing else. Raises Refused (`job_not_found`)."""
        async with reaching_redis():
            state = await self.redis.hget(PREFIX + "job:" + job_id, "state")
        if state is None:
            raise Refused("job_not_found")
        return JobState(str(state))

    async def jobs_of(self, owner: str, *, offset: int, limit: int) -> list[Job]:
        """Read an owner's jobs, newest first; forgotten ones are left out."""
        async with reaching_redis():
            key = f"{PREFIX}owner:{digest(owner)}:jobs"
            ids = [str(job_id) for job_id in await self.redis.zrevrange(key, offset, offset + limit - 1)]
            pipe = self.redis.pipeline(transaction=False)
            for job_id in ids:
                pipe.hgetall(PREFIX + "job:" + job_id)
                pipe.zrank(PREFIX + "queued", job_id)
            answers = await pipe.execute()
        rows = zip(answers[::2], answers[1::2], strict=True)
        return [read_job(fields, position) for fields, position in rows if fields]

    async def events(self, job_id: str, *, after: str = "0") -> list[JobEvent]:
        """Read a job's story after a stream id."""
        async with reaching_redis():
            entries: Any = await self.redis.xrange(f"{PREFIX}job:{job_id}:events", min=f"({after}")
        return [
            JobEvent(id=entry_id, at=moment(float(entry["at"])), **json.loads(entry["event"]))
            for entry_id, entry in entries
        ]

    async def latest_image(self, owner: str, conversation: str) -> str | None:
        """Find the path of the newest artifact of a conversation."""
        async with reaching_redis():
            path = await self.redis.get(f"{PREFIX}owner:{digest(owner)}:latest:{digest(conversation)}")
        return str(path) if path else None

    async def is_foreign(self, artifact_id: str, owner: str) -> bool:
        """Tell whether an artifact is known to belong to somebody else."""
        async with reaching_redis():
            found = await self.redis.get(f"{PREFIX}image:{artifact_id}")
        return found is not None and found != digest(owner)

    async def cancel(self, job_id: str, *, owner: str | None = None) -> JobState:
        """Cancel a job unless it is over; answer the state it had. Raises Refused (`job_not_found`)."""
        state = await self._run("cancel", job_id, "" if owner is None else digest(owner))
        if state is None:
            raise Refused("job_not_found")
        return JobState(state)

    async def claim(self, job_id: str, *, worker: str, lease_s: float) -> Lease | None:
        """Take a queued job that may start now, or nothing."""
        answer = await self._run("claim", job_id, worker, int(lease_s * 1000), secrets.token_hex(8))
        if not answer:
            return None
        fence, now, deadline, flat = answer
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        return Lease(job_id=job_id, fence=fence, deadline_ms=deadline, claimed_ms=now, fields=fields)

    async def renew(self, worker: str, leases: Iterable[Lease], *, lease_s: float) -> list[str]:
        """Prolong leases and the worker's sign of life; answer the ids that are not its own any more."""
        holds = [part for lease in leases for part in (lease.job_id, lease.fence)]
        return list(await self._run("renew", worker, int(lease_s * 1000), *holds))

    async def begin_attempt(self, lease: Lease, number: int, attempt: Attempt, *, max_calls: int) -> None:
        """Count and record a provider call before it is made. Raises CallRefused, LeaseLost."""
        told = {"index", "rung", "provider", "model", "image_size", "quality"}
        event = {"type": "attempt", **attempt.model_dump(include=told, exclude_none=True)}
        answer = await self._fenced(
            "begin_attempt", lease, number, max_calls, attempt.model_dump_json(), json.dumps(event)
        )
        if answer != "ok":
            raise CallRefused(answer)

    async def end_attempt(
        self,
        lease: Lease,
        number: int,
        attempt: Attempt,
        *,
        event: Literal["", "retry", "fallback"] = "",
        text: str = "",
    ) -> None:
        """Write how a call ended and, if the ladder goes on, how. Raises LeaseLost."""
        told = json.dumps({"type": event, "index": attempt.index, "text": text}) if event else ""
        await self._fenced("end_attempt", lease, number, attempt.model_dump_json(), told, text)

    async def add_image(self, lease: Lease, image: Image) -> None:
        """Add a stored image; adding it again changes nothing. Raises LeaseLost."""
        event = {"type": "image", "index": image.index, "image": image.id}
        await self._fenced(
            "add_image", lease, image.index, image.model_dump_json(), json.dumps(event), image.id, image.path
        )

    async def end(self, lease: Lease, state: JobState, error: DarkroomError | None = None) -> JobState:
        """End a job; one with images that `failed` has `succeeded` in part. Raises LeaseLost."""
        return JobState(await self._fenced("end", lease, state, failure(error) if error else ""))

    async def release(self, lease: Lease, *, wait_s: float = 0, note: str = "", at_gate: bool = False) -> None:
        """Give the job back to the queue, to start again after `wait_s`. Raises LeaseLost.

        With `at_gate` the job waits for nothing but a gate, which may wake it before.
        """
        event = {"type": "waiting" if wait_s else "queued", "text": note}
        bell = self._doorbell.bell(lease.job_id)
        await self._fenced("release", lease, int(wait_s * 1000), note, bell, json.dumps(event), int(at_gate))

    async def sweep(self, sweeper: str, *, patience_s: float, lock_s: float, bell_s: float) -> int:
        """Bring lost jobs and bells back, if no other sweeper does; answer how many bells were rung.

        Leases are judged once sweepers have reached Redis for `patience_s` without a gap of that length.
        """
        silent: Sequence[str] = await self._run(
            "sweep", sweeper, int(lock_s * 1000), int(patience_s * 1000), int(bell_s * 1000), 100
        )
        return await self.ring(silent)

    async def ring(self, job_ids: Sequence[str]) -> int:
        """Ring for those jobs that are ready; answer how many they were."""
        if not job_ids:
            return 0
        bells = (part for job_id in job_ids for part in (job_id, self._doorbell.bell(job_id)))
        return int(await self._run("ring", *bells))

    async def workers(self, *, within_s: float) -> list[str]:
        """Name the workers that gave a sign of life lately."""
        async with reaching_redis():
            seconds, _ = await self.redis.time()
            oldest = 1000 * (seconds - within_s)
            return [str(name) for name in await self.redis.zrangebyscore(PREFIX + "workers", oldest, "+inf")]

    async def _fenced(self, script: str, lease: Lease, *args: str | int) -> str:
        answer = str(await self._run(script, lease.job_id, lease.fence, *args))
        if answer == "lost":
            raise LeaseLost(lease.job_id)
        return answer
