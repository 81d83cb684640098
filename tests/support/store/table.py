"""Moves of a job table as producers, workers and their sweeper make them, and the bells that it rang."""

from __future__ import annotations

import json

from redis.asyncio import Redis

from contract.store.lease import Lease
from tests.support.factories.job_store import JobStore
from tests.support.factories.jobs import new_job


async def submitted(store: JobStore, **changes: object) -> str:
    """Hand a job in; answer its id."""
    job_id, _ = await store.submit(new_job(**changes))
    return job_id


async def all_submitted(store: JobStore, count: int, **changes: object) -> list[str]:
    """Hand in so many jobs; answer their ids, the oldest first."""
    return [await submitted(store, **changes) for _ in range(count)]


async def claimed(store: JobStore, job_id: str, *, worker: str = "w1", lease_s: float = 15) -> Lease:
    """Claim a job that can be claimed."""
    lease = await store.claim(job_id, worker=worker, lease_s=lease_s)
    assert lease is not None
    return lease


async def running(store: JobStore, **changes: object) -> Lease:
    """Hand a job in and claim it."""
    return await claimed(store, await submitted(store, **changes))


async def sweep(store: JobStore, *, sweeper: str = "w1", patience_s: float = 0, bell_s: float = 60) -> int:
    """Sweep once; answer how many bells were rung."""
    return await store.sweep(sweeper, patience_s=patience_s, lock_s=60, bell_s=bell_s)


async def bells(redis: Redis) -> list[str]:
    """Take all bells, in the order workers would."""
    found = []
    for priority in range(10):
        key = "darkroom:bells" if priority == 0 else f"darkroom:bells:{priority}"
        while message := await redis.rpop(key):
            found.append(json.loads(str(message))["headers"]["id"])
    return found
