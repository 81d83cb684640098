"""The job table for the producer's side: submit, cancel, delete, keep uploads, remember recent requests."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any, ClassVar

from redis.asyncio import Redis

from contract.errors.catalogue.queue import (
    BUDGET_SPENT,
    QUEUE_FULL,
    TOO_MANY_JOB_BYTES,
    TOO_MANY_JOBS,
    TOO_MANY_UPLOADS,
    UPLOADS_TOO_LARGE,
)
from contract.errors.catalogue.request import IDEMPOTENCY_KEY_FORGOTTEN, IDEMPOTENCY_KEY_REUSED, JOB_NOT_FOUND
from contract.errors.exceptions import Refused, Unavailable
from contract.jobs.job import Job, JobState, ReferenceSnapshot
from contract.redis.client import is_unanswered, reaching_redis
from contract.store.doorbell import Doorbell
from contract.store.job_hash import read_job, read_state
from contract.store.job_writer import JobWriter, new_name, pairs
from contract.store.keys import UPLOADS, digest, micro, owner_key, recent_key
from contract.store.new_job import KeepLimits, NewJob

UPLOAD_S = 86_400  # the janitor leaves a reference image alone for longer than that
ANY_BYTES = 2**50


class ProducerStore(JobWriter):
    """What a client, a gateway or a chat can do to a job; it cannot end one."""

    SCRIPTS: ClassVar[tuple[str, ...]] = (
        "jobs/submit",
        "jobs/cancel",
        "jobs/delete",
        "upkeep/add_upload",
        "upkeep/check_redis",
        "upkeep/make_room",
    )

    def __init__(
        self, redis: Redis, doorbell: Doorbell, *, retention_s: float = 7 * 86_400, keep: KeepLimits | None = None
    ) -> None:
        super().__init__(redis, doorbell)
        self.keep = keep or KeepLimits()
        self._retention_ms = int(retention_s * 1000)

    async def submit(self, new: NewJob) -> tuple[str, bool]:
        """Accept a job; answer its id and whether an earlier job has this idempotency key.

        Raises Refused: the key was used for another request, or a cap is reached; then `values` may have
        a `retry_after_s`.
        """
        status, answer = await self._ask(
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
            new.chat_delivery.outbox if new.chat_delivery else "",
            int(new.chat_delivery.hold_s * 1000) if new.chat_delivery else 0,
            *astuple(self.keep),
            *(part for item in new.fields().items() for part in item),
        )
        if refusal := _refusal(status, answer):
            raise refusal
        return answer, status == "replayed"

    async def cancel(
        self, job_id: str, *, owner: str | None = None, silently: bool = False, call: str = ""
    ) -> JobState:
        """Cancel a job unless it is over, and its message if `silently`; answer the state it had.

        `call` is a text that is used once: a repeat with it is answered the same. Raises Refused (`job_not_found`).
        """
        told = ("" if owner is None else digest(owner), int(silently), call or new_name())
        state = await self._ask("jobs/cancel", job_id, *told)
        if state is None:
            raise Refused(JOB_NOT_FOUND)
        return read_state({"state": state, "ended_at": "1"})

    async def delete(self, job_id: str, *, owner: str) -> Job:
        """Forget a job, cancelling it first; answer it as it was, for its files. Raises Refused (`job_not_found`)."""
        flat = await self._ask("jobs/delete", job_id, digest(owner), self._retention_ms)
        if flat is None:
            raise Refused(JOB_NOT_FOUND)
        return read_job(pairs(flat), None)

    async def add_upload(
        self,
        owner: str,
        snapshot: ReferenceSnapshot,
        *,
        most: int,
        most_bytes: int = ANY_BYTES,
        is_sent_along: bool = False,
    ) -> None:
        """Note an uploaded reference image for a day, or renew it; one that `is_sent_along` came with its request.

        Raises Refused (`too_many_uploads`, `uploads_too_large`).
        """
        what = (snapshot.sha256, snapshot.model_dump_json(), int(UPLOAD_S * 1000))
        told = (digest(owner), *what, most, snapshot.bytes, most_bytes, int(is_sent_along))
        status, wait_s = await self._ask("upkeep/add_upload", *told)
        if status == TOO_MANY_UPLOADS.code:
            raise Refused(TOO_MANY_UPLOADS, max=most, retry_after_s=max(1, wait_s))
        if status != "ok":
            raise Refused(UPLOADS_TOO_LARGE, max_mib=most_bytes // 2**20, retry_after_s=max(1, wait_s))

    async def forget_upload(self, owner: str, sha256: str) -> None:
        """Forget an uploaded reference image that could not be stored. Raises Unavailable."""
        async with reaching_redis():
            pipe = self.redis.pipeline(transaction=False)  # a full Redis refuses transactions
            pipe.zrem(UPLOADS, f"{digest(owner)} {sha256}")
            pipe.zrem(owner_key(owner, "uploads"), sha256)
            pipe.delete(owner_key(owner, f"upload:{sha256}"))
            await pipe.execute()

    async def _ask(self, script: str, *args: str | float) -> Any:
        """Run a script, once more if its answer was lost, or if Redis was full and ended jobs could be forgotten.

        Each script knows a repeat by its arguments. Raises Unavailable.
        """
        try:
            return await self._run(script, *args)
        except Unavailable as error:
            if not is_unanswered(error) and not await self._makes_room(error):
                raise
        return await self._run(script, *args)

    async def check(self) -> None:
        """Find out whether Redis would take a job now. Raises Unavailable."""
        try:
            await self._run("upkeep/check_redis")
        except Unavailable as error:
            if not await self._makes_room(error):
                raise
            await self._run("upkeep/check_redis")

    async def _makes_room(self, error: Unavailable) -> bool:
        """Forget ended jobs if Redis was full; tell whether that may have helped. Raises Unavailable."""
        return error.code == QUEUE_FULL.code and bool(await self._run("upkeep/make_room"))

    async def recent(self, owner: str, what: str) -> str | None:
        """Find what is remembered of an equal request of an owner: its job, or the mark of one that has begun."""
        async with reaching_redis():
            job_id = await self.redis.get(recent_key(owner, what))
        return str(job_id) if job_id else None

    async def note_recent(self, owner: str, what: str, job_id: str, *, for_s: float) -> None:
        """Remember for a while which job a request was answered with."""
        async with reaching_redis():
            await self.redis.set(recent_key(owner, what), job_id, px=int(1000 * for_s))

    async def begin_recent(self, owner: str, what: str, mark: str, *, for_s: float) -> str:
        """Mark a request as begun, unless something is remembered of it; answer what that is then."""
        key = recent_key(owner, what)
        async with reaching_redis():
            is_first = await self.redis.set(key, mark, nx=True, px=int(1000 * for_s))
            found = None if is_first else await self.redis.get(key)
        return str(found or mark)

    async def forget_recent(self, owner: str, what: str) -> None:
        """Remember nothing of a request."""
        async with reaching_redis():
            await self.redis.delete(recent_key(owner, what))


def _refusal(status: str, answer: str | int) -> Refused | None:
    match status:
        case "reused":
            return Refused(IDEMPOTENCY_KEY_REUSED)
        case "forgotten":
            return Refused(IDEMPOTENCY_KEY_FORGOTTEN)
        case "too_many_bytes":
            return Refused(TOO_MANY_JOB_BYTES, max=int(answer) // 2**20, retry_after_s=10)
        case TOO_MANY_JOBS.code:
            return Refused(TOO_MANY_JOBS, max=answer, retry_after_s=10)
        case QUEUE_FULL.code:
            return Refused(QUEUE_FULL, retry_after_s=30)
        case BUDGET_SPENT.code:
            return Refused(BUDGET_SPENT, retry_after_s=int(answer))
    return None
