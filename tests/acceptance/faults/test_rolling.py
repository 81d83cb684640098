"""Two versions on one Redis, as processes: what one cannot do it leaves to the other, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from contract.jobs.job import TERMINAL, JobState
from contract.monitoring.fleet import read_fleet
from contract.redis.client import open_redis
from contract.store.doorbell import Doorbell
from contract.version import CONTRACT, own_version
from producer.doctor.doctor import examine
from tests.support.stack.stack import Process, Stack

pytestmark = pytest.mark.real_redis

NEEDS = f"needs contract {CONTRACT + 1}, and this worker has {CONTRACT}"


def http(url: str, token: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60)


async def test_a_worker_leaves_newer_jobs_to_a_newer_worker_and_says_so_once(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DARKROOM_REDIS_URL", stack.redis.url)
    token = stack.token()
    url, _ = await asyncio.gather(stack.start_gateway(ahead="1"), stack.start_worker(DARKROOM_CONCURRENCY="1"))
    async with http(url, token) as newer, stack.client() as older:
        ids = [(await newer.post("/v1/jobs", json={"prompt": f"new {n}"})).json()["id"] for n in range(3)]
        async with open_redis(stack.redis.url) as redis:  # bells that strayed: none of them holds the one slot up
            bell = Doorbell().bell(ids[0])
            await redis.lpush("darkroom:bells", bell, bell.replace(f'"contract": {CONTRACT}', '"contract": 99'))
        done = await older.wait((await older.submit(prompt="old")).id, timeout_s=30)
        assert done.state is JobState.SUCCEEDED
        assert [(await older.get(job_id)).state for job_id in ids] == [JobState.QUEUED] * 3
        finding = {finding.name: finding for finding in await examine(stack.config)}["versions"]
        ready = (await newer.get("/readyz?verbose")).json()
        checks = ready["checks"]
        assert ready["version"] == f"{own_version()} (contract {CONTRACT + 1})"
        assert (finding.ok, "3 jobs need a newer worker than any that runs" in finding.detail) == (False, True)
        assert (checks["versions"]["ok"], checks["versions"]["needed"]) == (False, False)
        assert f"this is {own_version()} (contract {CONTRACT + 1}); workers: 1 of" in checks["versions"]["detail"]
        told = [line for line in stack.logs().splitlines() if "needs contract" in line]
        assert [NEEDS in line for line in told] == [True, False]  # one line for each number
        await stack.start_worker(ahead="1")
        ends = [await older.wait(job_id, timeout_s=30) for job_id in ids]
    assert [(job.state, len(job.attempts)) for job in ends] == [(JobState.SUCCEEDED, 1)] * 3
    assert len(stack.simulator.ledger) == 4


class Town:
    """Workers and gateways of two versions, and people who hand jobs in all the while."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.tokens = {owner: stack.token(owner) for owner in ("ann", "bob", "eve")}
        self.urls: list[str] = []  # of the gateways that are in use
        self.made_by: dict[str, str] = {}  # how far each worker is ahead, by the end of its name
        self.accepted: dict[str, str] = {}  # owners by their jobs
        self._is_over = asyncio.Event()

    async def worker(self, ahead: str) -> Process:
        """Start a worker of a version."""
        worker = await self.stack.start_worker(ahead=ahead, DARKROOM_CONCURRENCY="4")
        self.made_by[str(worker.pid)] = ahead
        return worker

    async def gateway(self, ahead: str) -> tuple[str, Process]:
        """Start a gateway of a version, and send people there, too."""
        url = await self.stack.start_gateway(ahead=ahead, DARKROOM_RATE="100000/minute")
        self.urls.append(url)
        return url, self.stack.gateway_at(url)

    async def open(self, ahead: str) -> tuple[list[Process], list[tuple[str, Process]]]:
        """Start two workers and two gateways of a version."""
        workers = asyncio.gather(self.worker(ahead), self.worker(ahead))
        gateways = asyncio.gather(self.gateway(ahead), self.gateway(ahead))
        return list(await workers), list(await gateways)

    async def replace_gateway(self, old: tuple[str, Process], ahead: str) -> None:
        """Put a gateway of another version in the place of one, as a load balancer would see it."""
        await self.gateway(ahead)
        self.urls.remove(old[0])
        await stopped(old[1])

    async def replace_worker(self, old: Process, ahead: str) -> None:
        """Put a worker of another version in the place of one."""
        await self.worker(ahead)
        await stopped(old)

    @asynccontextmanager
    async def busy(self) -> AsyncIterator[None]:
        """Have jobs handed in meanwhile, and some more before and after."""
        async with asyncio.TaskGroup() as group:
            for owner, token in self.tokens.items():
                group.create_task(self._hand_in(owner, token))
            await self.accepts(6)
            yield
            await self.accepts(6)
            self._is_over.set()

    async def accepts(self, more: int) -> None:
        """Wait until so many more jobs were accepted."""
        most = len(self.accepted) + more
        async with asyncio.timeout(60):
            while len(self.accepted) < most:
                await asyncio.sleep(0.05)

    async def _hand_in(self, owner: str, token: str) -> None:
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=10) as client:
            number = 0
            while not self._is_over.is_set():
                number += 1
                job_id = await self._insist(client, f"{owner}-{number}")
                assert job_id not in self.accepted, "two keys have one job"
                self.accepted[job_id] = owner
                await asyncio.sleep(0.2)

    async def _insist(self, client: httpx.AsyncClient, key: str) -> str:
        """Hand a job in, again with its key if the answer was lost."""
        while True:
            url = self.urls[hash(key) % len(self.urls)]
            try:
                answer = await client.post(
                    f"{url}/v1/jobs", json={"prompt": key, "image_size": "512"}, headers={"Idempotency-Key": key}
                )
            except httpx.TransportError:  # that gateway has just stopped
                continue
            if answer.status_code in (200, 202):
                return str(answer.json()["id"])
            assert answer.status_code in (429, 503), answer.text
            await asyncio.sleep(0.1)

    async def hashes(self) -> dict[str, dict[str, str]]:
        """Wait until all jobs are over; read what is stored of them."""
        async with open_redis(self.stack.redis.url) as redis:
            found: dict[str, dict[str, str]] = {}
            until = time.monotonic() + 60
            while time.monotonic() < until:
                rows: Any = [await redis.hgetall(f"darkroom:job:{job_id}") for job_id in self.accepted]
                found = dict(zip(self.accepted, rows, strict=True))
                if all(fields["state"] in TERMINAL for fields in found.values()):
                    break
                await asyncio.sleep(0.2)
            return found

    async def pages(self) -> Counter[str]:
        """List everybody's jobs at the gateways in use."""
        seen: Counter[str] = Counter()
        for url in self.urls:
            for token in self.tokens.values():
                async with http(url, token) as client:
                    seen.update(job["id"] for job in await all_jobs(client))
        return seen


async def all_jobs(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    """Read all pages of an owner's jobs."""
    jobs: list[dict[str, Any]] = []
    params: dict[str, str] = {}
    while True:
        page = (await client.get("/v1/jobs", params=params)).raise_for_status().json()
        jobs += page["jobs"]
        if not page.get("next"):
            return jobs
        params = {"cursor": page["next"]}


async def stopped(process: Process) -> None:
    """Ask a process to stop, and wait until it has."""
    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, 60) == 0


async def until_none_needs_more(stack: Stack, contract: int) -> None:
    """Wait as an operator does who goes back to an older version: until the last worker of the newer one may go."""
    async with open_redis(stack.redis.url) as redis, asyncio.timeout(60):
        while (await read_fleet(redis, most=2000)).needing(contract):
            await asyncio.sleep(0.1)


async def forward(town: Town, *, workers_first: bool) -> None:
    """Bring a town to the next version, one process at a time."""
    workers, gateways = await town.open("")
    async with town.busy():
        for gateway in () if workers_first else gateways:
            await town.replace_gateway(gateway, "1")
        for worker in workers:
            await town.replace_worker(worker, "1")
            await town.accepts(3)
        for gateway in gateways if workers_first else ():
            await town.replace_gateway(gateway, "1")


async def back(town: Town) -> None:
    """Bring a town back to the version before, one process at a time."""
    workers, gateways = await town.open("1")
    async with town.busy():
        for gateway in gateways:
            await town.replace_gateway(gateway, "")
        await town.replace_worker(workers[0], "")
        await town.accepts(3)
        await town.worker("")
        await until_none_needs_more(town.stack, CONTRACT)
        await stopped(workers[1])


@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", ["workers first", "gateways first", "back"])
async def test_versions_are_rolled_over_each_other_under_load(stack: Stack, way: str) -> None:
    town = Town(stack)
    await (back(town) if way == "back" else forward(town, workers_first=way == "workers first"))
    jobs = await town.hashes()
    assert Counter(fields["state"] for fields in jobs.values()) == {"succeeded": len(town.accepted)}
    async with open_redis(stack.redis.url) as redis:
        for job_id in jobs:
            story: Any = await redis.xrange(f"darkroom:job:{job_id}:events")
            told = [entry["event"] for _, entry in story]
            assert sum('"succeeded"' in event for event in told) == 1, told
    calls = Counter(call.job_id for call in stack.simulator.ledger)
    assert calls == dict.fromkeys(town.accepted, 1)
    images = {path.stem for path in (stack.folder / "media").rglob("img_*.json")}
    assert len(images) == len(jobs)
    made = Counter((int(job["contract"]), town.made_by[job["worker"].rpartition("-")[2]]) for job in jobs.values())
    print(way, made)
    assert (CONTRACT + 1, "") not in made
    assert made[CONTRACT, ""]
    assert made[CONTRACT + 1, "1"]
    seen = await town.pages()
    assert seen == dict.fromkeys(town.accepted, len(town.urls))
    assert all(("grain" in job) == (int(job["contract"]) > CONTRACT) for job in jobs.values())
