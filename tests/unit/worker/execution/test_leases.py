"""The leases of a worker: one that is lost stops its job, unless the job's end is being written."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from contract.store.lease import Lease
from contract.store.worker_store import WorkerStore
from worker.execution.leases import Leases

LEASE = Lease(job_id="7", fence=1, deadline_ms=600_000, fields={}, claimed_ms=0)


class Ended(WorkerStore):
    """A table in which all jobs are over."""

    def __init__(self) -> None:
        pass

    async def renew(self, worker: str, leases: Iterable[Lease], *, lease_s: float, slots: int = 0) -> list[str]:
        return [lease.job_id for lease in leases]


@pytest.mark.parametrize("is_concluding", [False, True])
async def test_a_lost_lease_stops_a_job_that_is_not_about_to_end(is_concluding: bool) -> None:
    leases, is_held, is_answered = Leases(Ended(), worker="w", lease_s=15), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        with leases.hold(LEASE) as held:
            held.is_concluding = is_concluding
            is_held.set()
            await is_answered.wait()

    working = asyncio.create_task(work())
    await is_held.wait()
    await leases._renew()
    is_answered.set()
    await asyncio.wait({working})
    assert working.cancelled() is not is_concluding
