"""What can be seen of jobs. Reads need no script: each is one round trip, or two where one answer asks the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from redis.asyncio import Redis

from contract.errors.catalogue.request import JOB_NOT_FOUND
from contract.errors.exceptions import DarkroomError, Refused
from contract.jobs.job import Job, JobEvent, JobState, ReferenceSnapshot
from contract.jobs.page import Page, cursor_after, read_cursor
from contract.redis.client import reaching_redis
from contract.store.job_hash import Fields, read_events, read_job, read_snapshots, read_state, read_story
from contract.store.keys import (
    PARKED,
    QUEUED,
    RUNNING,
    SLOTS,
    WORKERS,
    deleted_key,
    digest,
    durations_key,
    image_key,
    job_events_key,
    job_key,
    owner_key,
)

SEEN_S = 10  # since a worker's last sign of life, for its slots to count
MOST_SCANNED = 500  # jobs that one page looks at, however few of them fit
CHUNK = 100  # jobs that are looked at together where not all of them will fit

_OF_A_STATE = ("state", "started_at", "ended_at", "images", "story")
_OF_A_ROW = ("state", "started_at", "ended_at", "images", "conversation")

Row = tuple[str, float]  # a job's id and when it was accepted, as sorted sets answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast jobs of a kind are made: the last durations, the slots of living workers, the jobs that run."""

    durations_s: tuple[float, ...]
    slots: int
    running: int


class JobReader:
    """The job table for readers."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis

    async def get(self, job_id: str, *, owner: str | None = None) -> Job:
        """Read a job. Raises Refused (`job_not_found`), also for a job of another owner, and `job_unreadable`."""
        async with reaching_redis():
            pipe = self.redis.pipeline(transaction=False)
            pipe.hgetall(job_key(job_id))
            pipe.zcard(QUEUED)
            _ask_for_ranks(pipe, job_id)
            fields, ready, rank, parked_rank = await pipe.execute()
        if not fields or (owner is not None and fields.get("owner") != owner):
            raise Refused(JOB_NOT_FOUND)
        return read_job(fields, _ahead(rank, parked_rank, ready))

    async def news(self, job_id: str, *, after: str = "0") -> tuple[JobState, list[JobEvent]]:
        """Read where a job stands, and its story after a stream id. Raises Refused (`job_not_found`)."""
        async with reaching_redis():
            pipe = self.redis.pipeline(transaction=False)
            pipe.hmget(job_key(job_id), _OF_A_STATE)  # before its events: none of an ended job is missed
            pipe.xrange(job_events_key(job_id), min=f"({after}")
            found, entries = await pipe.execute()
        fields = {name: value for name, value in zip(_OF_A_STATE, found, strict=True) if value is not None}
        if "state" not in fields:
            raise Refused(JOB_NOT_FOUND)
        events = read_events(entries) or read_story(fields.get("story", ""), after=after)
        return read_state(fields), events

    async def last_event(self, job_id: str) -> str:
        """Tell the id of the last event of a job's story, "0" if it has none."""
        async with reaching_redis():
            pipe = self.redis.pipeline(transaction=False)
            pipe.xrevrange(job_events_key(job_id), count=1)
            pipe.hget(job_key(job_id), "story")
            entries, story = await pipe.execute()
        events = read_events(entries) or read_story(story or "", after="0")
        return events[-1].id if events else "0"

    async def snapshots(self, job_id: str) -> tuple[ReferenceSnapshot, ...]:
        """Read what a job's reference images were when it was accepted. Raises Refused (`job_not_found`)."""
        async with reaching_redis():
            text = await self.redis.hget(job_key(job_id), "snapshots")
        if text is None:
            raise Refused(JOB_NOT_FOUND)
        return read_snapshots({"snapshots": str(text)})

    async def jobs_of(self, owner: str, *, offset: int, limit: int) -> list[Job]:
        """Read an owner's jobs, newest first; forgotten ones are left out, and such as cannot be read."""
        async with reaching_redis():
            ids = await self.redis.zrevrange(owner_key(owner, "jobs"), offset, offset + limit - 1)
        looked = await self._look(list(map(str, ids)))
        return [job for fields, position in looked if fields and (job := _readable(fields, position))]

    async def page_of(
        self,
        owner: str,
        *,
        before: str | None,
        limit: int,
        state: frozenset[JobState] | None,
        conversation: str | None,
    ) -> tuple[list[Job], str | None]:
        """Read a page of an owner's jobs, newest first, and the cursor of the next one; None after the last.

        `before` is the cursor of the page before this one. A page is shorter than `limit`, or even empty, where few
        of the jobs that were looked at fit or can be read, or they are large. Raises Refused (`cursor_invalid`).
        """
        rows = await self._rows(owner, before)
        ids = [job_id for job_id, _ in rows[:MOST_SCANNED]]
        page, at = Page(limit), 0
        while at < len(ids) and not page.is_full:
            if state is None and conversation is None:
                end = at + page.next_part()
                fitting = ids[at:end]
            else:
                end = at + CHUNK
                fitting = await self._fitting(ids[at:end], state, conversation)
            following = await self._fill(page, fitting)
            at = min(end, len(ids)) if following is None else ids.index(following)
        return page.jobs, cursor_after(*rows[at - 1]) if at < len(rows) else None

    async def _fitting(
        self, ids: Sequence[str], state: frozenset[JobState] | None, conversation: str | None
    ) -> list[str]:
        """Find the jobs that are in one of these states, and of a conversation."""
        async with reaching_redis():
            pipe = self.redis.pipeline(transaction=False)
            for job_id in ids:
                pipe.hmget(job_key(job_id), _OF_A_ROW)
            rows = [dict(zip(_OF_A_ROW, found, strict=True)) for found in await pipe.execute()]
        return [job_id for job_id, row in zip(ids, rows, strict=True) if _fits(row, state, conversation)]

    async def _fill(self, page: Page, ids: Sequence[str]) -> str | None:
        """Read jobs into a page; name the first that there was no room for."""
        at = 0
        while at < len(ids):
            part = ids[at : at + page.next_part()]
            for job_id, (fields, position) in zip(part, await self._look(part), strict=True):
                if fields and not page.has_room(fields):
                    return job_id
                if fields and (job := _readable(fields, position)):
                    page.add(job)
            at += len(part)
            if page.is_full:
                break
        return ids[at] if at < len(ids) else None

    async def _rows(self, owner: str, before: str | None) -> list[Row]:
        """List the jobs after a cursor, and one more than will be looked at."""
        score, last = read_cursor(before) if before is not None else (float("inf"), "")
        most = MOST_SCANNED + 1
        rows: list[Row] = []
        start = 0
        async with reaching_redis():
            while True:  # more than once only where very many jobs are of one millisecond
                answer: Any = await self.redis.zrevrangebyscore(
                    owner_key(owner, "jobs"), score, "-inf", start=start, num=most, withscores=True
                )
                rows += [row for row in answer if row[1] < score or row[0] < last]
                start += most
                if len(answer) < most or len(rows) >= most:
                    return rows[:most]

    async def pace(self, kinds: Sequence[str]) -> dict[str, Pace]:
        """Read how fast jobs of these kinds are made just now."""
        async with reaching_redis():
            pipe = self.redis.pipeline(transaction=False)
            pipe.time()
            pipe.zcard(RUNNING)
            pipe.zrange(WORKERS, 0, -1, withscores=True)
            pipe.hgetall(SLOTS)
            for kind in kinds:
                pipe.lrange(durations_key(kind), 0, -1)
            (seconds, _), running, workers, slots, *found = await pipe.execute()
        alive = [name for name, seen_ms in workers if seen_ms >= 1000 * (seconds - SEEN_S)]
        there = sum(_count(slots.get(name, "0")) for name in alive)
        return {
            kind: Pace(durations_s=tuple(_count(one) / 1000 for one in took), slots=there, running=running)
            for kind, took in zip(kinds, found, strict=True)
        }

    async def latest_image(self, owner: str, conversation: str) -> str | None:
        """Find the path of the newest artifact of a conversation."""
        return await self._text(owner_key(owner, f"latest:{digest(conversation)}"))

    async def is_foreign(self, artifact_id: str, owner: str) -> bool:
        """Tell whether an artifact is known to belong to somebody else."""
        return await self._text(image_key(artifact_id)) not in (None, digest(owner))

    async def image_owner_is(self, artifact_id: str, owner: str) -> bool:
        """Tell whether an artifact is known to belong to this owner."""
        return await self.image_owner(artifact_id) == digest(owner)

    async def image_owner(self, artifact_id: str) -> str:
        """Tell the digest of the owner of an artifact, "" if that is not known any more."""
        return await self._text(image_key(artifact_id)) or ""

    async def lists_image(self, job_id: str, index: int) -> bool:
        """Tell whether a job has an image, readable or not."""
        async with reaching_redis():
            return bool(await self.redis.hexists(job_key(job_id), f"image:{index}"))

    async def is_deleted(self, job_id: str) -> bool:
        """Tell whether a job was deleted lately."""
        return await self._text(deleted_key(job_id)) is not None

    async def upload(self, owner: str, sha256: str) -> ReferenceSnapshot | None:
        """Find a reference image that an owner has uploaded."""
        text = await self._text(owner_key(owner, f"upload:{sha256}"))
        try:
            return ReferenceSnapshot.model_validate_json(text) if text else None
        except ValidationError:  # it has to be uploaded again
            return None

    async def workers(self, *, within_s: float) -> list[str]:
        """Name the workers that gave a sign of life lately."""
        async with reaching_redis():
            seconds, _ = await self.redis.time()
            oldest = 1000 * (seconds - within_s)
            return [str(name) for name in await self.redis.zrangebyscore(WORKERS, oldest, "+inf")]

    async def _text(self, key: str) -> str | None:
        async with reaching_redis():
            text = await self.redis.get(key)
        return None if text is None else str(text)

    async def _look(self, ids: Sequence[str]) -> list[tuple[Fields, int | None]]:
        """Read job hashes, empty ones of unknown jobs, and how many jobs are before each."""
        async with reaching_redis():
            pipe = self.redis.pipeline(transaction=False)
            for job_id in ids:
                pipe.hgetall(job_key(job_id))
            hashes: list[Fields] = await pipe.execute()
            waiting = [place for place, fields in enumerate(hashes) if fields and read_state(fields) is JobState.QUEUED]
            ahead = await self._ahead([ids[place] for place in waiting]) if waiting else []
        positions = dict(zip(waiting, ahead, strict=True))
        return [(fields, positions.get(place)) for place, fields in enumerate(hashes)]

    async def _ahead(self, ids: Sequence[str]) -> list[int | None]:
        """Count the jobs before each; None for one that is claimed, if only meanwhile."""
        pipe = self.redis.pipeline(transaction=False)
        pipe.zcard(QUEUED)
        for job_id in ids:
            _ask_for_ranks(pipe, job_id)
        ready, *ranks = await pipe.execute()
        return [_ahead(rank, parked, ready) for rank, parked in zip(ranks[::2], ranks[1::2], strict=True)]


def _count(text: str) -> int:
    """Read a whole number; what is damaged counts nothing."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


def _ask_for_ranks(pipe: Any, job_id: str) -> None:
    pipe.zrank(QUEUED, job_id)
    pipe.zrank(PARKED, job_id)


def _ahead(rank: int | None, parked_rank: int | None, ready: int) -> int | None:
    """Count the jobs before one, which is ready, parked behind all that are, or neither."""
    return rank if parked_rank is None else ready + parked_rank


def _readable(fields: Fields, position: int | None) -> Job | None:
    """Read a job for a page, which has to go without one that cannot be read."""
    try:
        return read_job(fields, position)
    except DarkroomError:
        return None


def _fits(fields: Mapping[str, str | None], state: frozenset[JobState] | None, conversation: str | None) -> bool:
    known = {name: value for name, value in fields.items() if value is not None}
    return (
        "state" in known
        and (state is None or read_state(known) in state)
        and (conversation is None or known.get("conversation") == conversation)
    )
