"""Two versions on one Redis, as processes: what one cannot do it leaves to the other, and nobody waits for ever."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from house import House

from contract.doorbell import Doorbell
from contract.job import JobState
from contract.scripts import open_redis
from contract.version import CONTRACT, own_version
from producer.doctor import examine

pytestmark = pytest.mark.real_redis

NEEDS = f"needs contract {CONTRACT + 1}, and this worker has {CONTRACT}"


def http(url: str, token: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60)


async def test_a_worker_leaves_newer_jobs_to_a_newer_worker_and_says_so_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DARKROOM_REDIS_URL", house.redis.url)
    token = house.token()
    url, _ = await asyncio.gather(house.start_gateway(ahead="1"), house.start_worker(DARKROOM_CONCURRENCY="1"))
    async with http(url, token) as newer, house.client() as older:
        ids = [(await newer.post("/v1/jobs", json={"prompt": f"new {n}"})).json()["id"] for n in range(3)]
        async with open_redis(house.redis.url) as redis:  # bells that strayed: none of them holds the one slot up
            bell = Doorbell().bell(ids[0])
            await redis.lpush("darkroom:bells", bell, bell.replace(f'"contract": {CONTRACT}', '"contract": 99'))
        done = await older.wait((await older.submit(prompt="old")).id, timeout_s=30)
        assert done.state is JobState.SUCCEEDED
        assert [(await older.get(job_id)).state for job_id in ids] == [JobState.QUEUED] * 3
        finding = {finding.name: finding for finding in await examine(house.config)}["versions"]
        ready = (await newer.get("/readyz?verbose")).json()
        checks = ready["checks"]
        assert ready["version"] == f"{own_version()} (contract {CONTRACT + 1})"
        assert (finding.ok, "3 jobs need a newer worker than any that runs" in finding.detail) == (False, True)
        assert (checks["versions"]["ok"], checks["versions"]["needed"]) == (False, False)
        assert f"this is {own_version()} (contract {CONTRACT + 1}); workers: 1 of" in checks["versions"]["detail"]
        told = [line for line in house.logs().splitlines() if "needs contract" in line]
        assert [NEEDS in line for line in told] == [True, False]  # one line for each number
        await house.start_worker(ahead="1")
        ends = [await older.wait(job_id, timeout_s=30) for job_id in ids]
    assert [(job.state, len(job.attempts)) for job in ends] == [(JobState.SUCCEEDED, 1)] * 3
    assert len(house.simulator.ledger) == 4
