"""Answers that wait for a job: on every face they count together, for each owner."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from tests.support.clients.mcp import HELLO, message, told, tools_at
from tests.support.stack.stack import Stack

pytestmark = pytest.mark.real_redis
MOST = 2
SLOW = {"prompt": "[slow 60] a fox"}
MODELSCOPE = {"X-ModelScope-Async-Mode": "true"}


@pytest.fixture
async def ann(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """Ann, of whose answers two may wait."""
    url = await stack.start_gateway(DARKROOM_MAX_WAITS_PER_OWNER=str(MOST))
    headers = {"Authorization": f"Bearer {stack.token()}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=90) as client:
        yield client


async def submitted(client: httpx.AsyncClient) -> str:
    """Submit a job; no worker takes it."""
    return str((await client.post("/v1/jobs", json=SLOW)).json()["id"])


async def keep_waiting(client: httpx.AsyncClient, url: str, headers: dict[str, str] | None = None) -> None:
    """Wait for an answer, though another one may have to end first."""
    while (await client.get(url, params={"wait": 60}, headers=headers)).status_code == 429:
        await asyncio.sleep(0.05)


@asynccontextmanager
async def waiting(client: httpx.AsyncClient, job: str, number: int = MOST) -> AsyncIterator[None]:
    """Have so many answers wait that one more is refused."""
    url = f"/v1/jobs/{job}"
    tasks = [asyncio.create_task(keep_waiting(client, url)) for _ in range(number)]
    async with asyncio.timeout(30):
        while (await client.get(url, params={"wait": 1})).status_code != 429:
            await asyncio.sleep(0.2)  # one that wants to wait takes the place
    try:
        yield
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_would_wait_is_refused_and_others_may_wait(ann: httpx.AsyncClient, stack: Stack) -> None:
    job = await submitted(ann)
    bob = {"Authorization": f"Bearer {stack.token('bob')}"}
    async with waiting(ann, job):
        for answer in [
            await ann.get(f"/v1/jobs/{job}", params={"wait": 60}),
            await ann.get(f"/v1/jobs/{job}/events"),
        ]:
            assert (answer.status_code, answer.headers["Retry-After"]) == (429, "5")
            assert answer.json()["code"] == "too_many_waits"
        before = len((await ann.get("/v1/jobs")).json()["jobs"])
        for more in ({}, {"stream": True}):
            answer = await ann.post("/v1/images/generations", json={"prompt": "a hare"} | more)
            assert (answer.status_code, answer.headers["Retry-After"]) == (429, "5")
            assert (answer.json()["error"]["code"], answer.headers["x-should-retry"]) == ("too_many_waits", "true")
        assert len((await ann.get("/v1/jobs")).json()["jobs"]) == before  # nothing was submitted
        assert (await ann.get(f"/v1/jobs/{job}")).status_code == 200
        answer = await ann.post("/v1/jobs", json=SLOW, headers=bob | {"Prefer": "wait=1"})
        assert answer.headers["Preference-Applied"] == "wait=1"
    async with asyncio.timeout(30):  # those who went away make room
        while (await ann.get(f"/v1/jobs/{job}", params={"wait": 1})).status_code != 200:
            await asyncio.sleep(0.05)


async def test_what_need_not_wait_is_answered_at_once(ann: httpx.AsyncClient) -> None:
    job = await submitted(ann)
    task = (await ann.post("/v1/images/generations", json=SLOW, headers=MODELSCOPE)).json()["task_id"]
    token = ann.headers["Authorization"].split()[1]
    async with waiting(ann, job), asyncio.timeout(15), tools_at(str(ann.base_url).rstrip("/"), token) as tools:
        accepted = await ann.post("/v1/jobs", json=SLOW, headers={"Prefer": "wait=60"})
        assert (accepted.status_code, "Preference-Applied" in accepted.headers) == (202, False)
        assert (await ann.get(f"/v1/tasks/{task}")).json()["task_status"] == "PENDING"
        looked = await tools.call_tool("get_image_job", {"job_id": job, "wait_seconds": 20})
        assert told(looked)["state"] == "queued"


async def test_the_stream_of_an_mcp_session_counts_too(ann: httpx.AsyncClient) -> None:
    job = await submitted(ann)
    ann.headers["Accept"] = "application/json, text/event-stream"
    opened = await ann.post("/mcp", json=message("initialize", 1, **HELLO))
    named = {"Mcp-Session-Id": opened.headers["Mcp-Session-Id"]}
    await ann.post("/mcp", json=message("notifications/initialized"), headers=named)
    async with waiting(ann, job):
        answer = await ann.get("/mcp", headers=named)
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many_waits")
    following = asyncio.create_task(keep_waiting(ann, "/mcp", named))
    async with waiting(ann, job, MOST - 1):
        assert not following.done()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
