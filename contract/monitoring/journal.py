"""The journal: each move of each job, one line in one bounded Redis stream, without what was asked for and by whom.

`journal` in `lua/include/job/journal.lua` writes it. It is what a dashboard reads that must not see a job's prompt.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from contract.jobs.job import JobState
from contract.redis.client import reaching_redis
from contract.store.keys import JOURNAL

AT_ONCE = 200  # lines of one reading: a dashboard takes them in without standing still
WAIT_MS = 1000  # less than a connection's time-out


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many jobs stand where."""

    ready: int = 0
    parked: int = 0
    waiting: int = 0
    running: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A job that has moved into a state. Times are seconds since 1970, of Redis's clock."""

    job: str
    state: JobState
    at: float
    created_at: float
    started_at: float | None
    worker: str  # the last one that had it, or ""
    code: str  # of the error, or ""
    note: str  # why it is queued again, in words
    images: int
    count: int
    calls: int
    cost_usd: float | None  # as far as providers have told
    model: str  # "" until the job is over


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """A line of the journal; `move` is None where only the counts are news, or a newer version wrote it."""

    id: str
    counts: Counts
    move: Move | None


async def read_journal(redis: Redis, after: str = "0") -> AsyncGenerator[list[JournalEntry], None]:
    """Read the journal from after a line, some lines at a time, none if nothing is new. Raises Unavailable."""
    while True:
        async with reaching_redis():
            answer: Any = await redis.xread({JOURNAL: after}, count=AT_ONCE, block=WAIT_MS)
        entries = answer[0][1] if answer else []
        lines = [_line(entry_id, fields) for entry_id, fields in entries]
        after = lines[-1].id if lines else after
        yield lines


def _line(entry_id: str, fields: Mapping[str, str]) -> JournalEntry:
    counts = {name: int(fields.get(name, 0)) for name in ("ready", "parked", "waiting", "running")}
    try:
        return JournalEntry(id=entry_id, counts=Counts(**counts), move=_move(entry_id, fields))
    except (ValueError, KeyError):  # damaged
        return JournalEntry(id=entry_id, counts=Counts(**counts), move=None)


def _move(entry_id: str, fields: Mapping[str, str]) -> Move | None:
    if not fields.get("job") or fields.get("state") not in set(JobState):
        return None
    return Move(
        job=fields["job"],
        state=JobState(fields["state"]),
        at=int(fields.get("at") or entry_id.partition("-")[0])
        / 1000,  # a line is written a little later than its moment
        created_at=float(fields["created_at"]) / 1000,
        started_at=float(fields["started_at"]) / 1000 if fields.get("started_at") else None,
        worker=fields.get("worker", ""),
        code=fields.get("code", ""),
        note=fields.get("note", ""),
        images=int(fields.get("images", 0)),
        count=int(fields.get("count", 0)),
        calls=int(fields.get("calls", 0)),
        cost_usd=float(fields["cost"]) if fields.get("cost") else None,
        model=fields.get("model", ""),
    )
