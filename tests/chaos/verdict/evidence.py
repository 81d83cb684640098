"""What is found after a storm: jobs and their stories, files, the provider's ledger, the clients' journal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from contract.jobs.job import Job, JobEvent
from contract.store.job_hash import read_attempts
from contract.store.job_reader import JobReader
from tests.chaos.arena.journal import Entry
from tests.chaos.arena.orders import Order

BACKLOG_S = 1.0  # until all has arrived that the network held back


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A job as it was found: what the table says of it."""

    key: str
    job: Job
    events: tuple[JobEvent, ...]
    calls: int  # as counted before they were made
    attempts: frozenset[int]  # their numbers

    @property
    def endings(self) -> int:
        """How often it has ended."""
        return sum(event.is_last for event in self.events)

    @property
    def crashes(self) -> int:
        """How often its worker was lost."""
        return sum(getattr(event, "why", "") == "worker_lost" for event in self.events)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A call as the provider knows it."""

    job_id: str
    number: int  # of the attempt, as the call itself says
    started_at: float
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A time in which the network held back what was sent to the provider, each for so long at most."""

    at: float
    over: float
    most_s: float

    def sent_from(self, arrived_at: float) -> float:
        """Tell since when a call may have been on its way."""
        if self.at <= arrived_at <= self.over + BACKLOG_S:
            return max(self.at, arrived_at - self.most_s)
        return arrived_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that a verdict is made from."""

    orders: Sequence[Order]
    entries: Sequence[Entry]
    found: Sequence[Found]
    made: Sequence[Made]
    pairs: dict[str, str]  # artifact id → job id
    orphans: Sequence[str]  # files that belong to no pair
    torn: Sequence[str] = field(default=())
    held: Sequence[Held] = field(default=())


async def find_jobs(store: JobReader) -> list[Found]:
    """Read every job of the table, whoever knows of it."""
    found = []
    async for key in store.redis.scan_iter(match="darkroom:job:*", count=1000):
        if str(key).count(":") != 2:
            continue
        job_id = str(key).rpartition(":")[2]
        job = await store.get(job_id)
        fields: Any = await store.redis.hgetall(str(key))
        found.append(
            Found(
                key=job.request.prompt.split()[0],
                job=job,
                events=tuple((await store.news(job_id))[1]),
                calls=int(fields["calls"]),
                attempts=frozenset(read_attempts(fields)),
            )
        )
    return found


async def find_calls(provider_url: str) -> list[Made]:
    """Ask the provider for its ledger."""
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        ledger: Any = (await client.get(f"{provider_url}/__sim/ledger")).json()
    calls = []
    for call in ledger["calls"]:
        job_id, _, number = call["request_id"].split(".")
        calls.append(Made(job_id=job_id, number=int(number), started_at=call["started_at"], kind=call["kind"]))
    return calls


def find_pairs(media: Path) -> tuple[dict[str, str], list[str]]:
    """List pairs by their ids, and the files besides them that are not temporary."""
    pairs, members = {}, set()
    for sidecar in media.rglob("img_*.json"):
        record = json.loads(sidecar.read_bytes())
        pairs[sidecar.stem] = record["job_id"]
        members |= {sidecar, Path(record["path"])}
    files = {path for path in media.rglob("*") if path.is_file() and not path.name.startswith(".")}
    return pairs, sorted(path.name for path in files - members)
