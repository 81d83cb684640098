"""Flower shows of each job what the job table says of it, whichever way the job came there."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from contract.jobs.job import Job, JobState
from contract.redis.client import open_redis
from producer.client.client import Darkroom
from tests.support.stack.flower import hears_workers, open_flower, page_when, tasks_when
from tests.support.stack.stack import Stack

pytestmark = pytest.mark.real_redis

LOGIN = ("ann", "guess-me-not-17")
GATEWAY = "https://pictures.example.org"
PROMPT = "canary of the wood"


@asynccontextmanager
async def watched(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """Run Flower beside a Darkroom."""
    given = {**os.environ, **stack.environment, "DARKROOM_CONFIG": str(stack.config), "DARKROOM_PUBLIC_URL": GATEWAY}
    async with open_flower(stack.folder, given, LOGIN) as (browser, _):
        yield browser


def celery_state(job: Job) -> str:
    """Say what Flower has to show for a job of the table."""
    match job.state:
        case JobState.QUEUED:
            return "PENDING" if job.started_at is None else "RETRY"
        case JobState.RUNNING:
            return "STARTED"
        case JobState.SUCCEEDED:
            return "SUCCESS"
        case JobState.CANCELLED:
            return "REVOKED"
        case JobState.FAILED | JobState.EXPIRED:
            return "FAILURE"


async def assert_true(browser: httpx.AsyncClient, *jobs: Job) -> None:
    """Compare what Flower's API shows with the job table."""
    tasks = await tasks_when(browser, {job.id: celery_state(job) for job in jobs})
    for job in jobs:
        task = tasks[job.id]
        assert f"{GATEWAY}/v1/jobs/{job.id}" in task["result"]
        assert (task["args"], task["kwargs"]) == ("(job)", "{}")
        if not job.is_over:
            continue
        code = job.error.code if job.error else None
        assert task["exception"] == (code if task["state"] == "FAILURE" else None)
        images, calls = f"{len(job.images)} of {job.request.count} image", f"{len(job.attempts)} call"
        assert images in task["result"]
        assert calls in task["result"]
        assert code is None or code in task["result"]
        if job.cost_usd is not None:
            assert f"${job.cost_usd:.2f}" in task["result"]
        if job.started_at is not None:
            assert job.ended_at is not None
            assert task["runtime"] == pytest.approx((job.ended_at - job.started_at).total_seconds(), abs=0.005)
        else:
            assert task["runtime"] is None
    assert "canary" not in str(tasks)


async def test_each_end_that_a_worker_writes(stack: Stack) -> None:
    await stack.start_worker()
    async with watched(stack) as browser, stack.client() as darkroom:
        await hears_workers(browser)
        whole = await ended(darkroom, "two", count=2)
        stack.simulator.script([{"kind": "ok"}, {"kind": "refuse"}])
        partly = await ended(darkroom, "one of two", count=2)
        stack.simulator.script([{"kind": "refuse"}])
        refused = await ended(darkroom, "none")
        stack.simulator.script([{"kind": "slow", "seconds": 30}])
        late = await ended(darkroom, "too late", deadline_seconds=1, fallback="none")
        states = [job.state for job in (whole, partly, refused, late)]
        assert states == [JobState.SUCCEEDED, JobState.SUCCEEDED, JobState.FAILED, JobState.EXPIRED]
        assert partly.error is not None
        await assert_true(browser, whole, partly, refused, late)
        tasks = (await browser.get("/api/tasks", params={"state": "FAILURE"})).json()
        assert tasks.keys() == {refused.id, late.id}
        page = (await browser.get("/tasks/datatable", params=datatable(refused.id))).json()
        assert [row["uuid"] for row in page["data"]] == [refused.id]
        [worker] = (await browser.get("/workers?json=1")).json()["data"]
        assert (worker["task-succeeded"], worker["task-failed"]) == (2, 2)


async def test_a_job_that_waits_for_its_provider_and_is_cancelled_there(stack: Stack) -> None:
    await stack.start_worker()
    stack.simulator.script([{"kind": "status", "status": 429, "headers": {"Retry-After": "30"}}])
    async with watched(stack) as browser, stack.client() as darkroom:
        job = await darkroom.submit(prompt=PROMPT)
        tasks = await tasks_when(browser, {job.id: "RETRY"})
        assert tasks[job.id]["exception"] == "Waiting 30 s: openrouter takes no more calls now."
        lengths = (await browser.get("/api/queues/length")).json()["active_queues"]
        assert lengths == queues(waiting=1)
        await darkroom.cancel(job.id)
        job = await darkroom.get(job.id)
        assert job.state is JobState.CANCELLED
        await assert_true(browser, job)
        assert (await browser.get("/api/queues/length")).json()["active_queues"] == queues()


async def test_jobs_that_no_worker_ever_had(stack: Stack) -> None:
    async with watched(stack) as browser, stack.client() as darkroom:
        jobs = [await darkroom.submit(prompt=PROMPT) for _ in range(12)]
        await assert_true(browser, *[await darkroom.get(job.id) for job in jobs])
        lengths = (await browser.get("/api/queues/length")).json()["active_queues"]
        assert lengths == queues(ready=10, parked=2), "Celery has ten messages, but twelve jobs wait"
        assert "jobs parked" in (await browser.get("/broker")).text
        await darkroom.cancel(jobs[0].id)
        await darkroom.delete(jobs[1].id)
        await assert_true(browser, await darkroom.get(jobs[0].id))
        await tasks_when(browser, {jobs[1].id: "REVOKED"})
        async with open_redis(stack.redis.url) as redis:  # their time to wait is over
            for job in jobs[2:]:
                await redis.zadd("darkroom:deadlines", {job.id: 1})
        await stack.start_worker()
        await assert_true(browser, *[await darkroom.wait(job.id, timeout_s=20) for job in jobs[2:]])


async def test_a_running_job_is_cancelled_and_a_killed_worker_goes_offline(stack: Stack) -> None:
    worker = await stack.start_worker(DARKROOM_LEASE_SECONDS="5")
    stack.simulator.script([{"kind": "slow", "seconds": 60}] * 2)
    async with watched(stack) as browser, stack.client() as darkroom:
        await hears_workers(browser)
        cancelled, lost = [await darkroom.submit(prompt=PROMPT) for _ in range(2)]
        await tasks_when(browser, {cancelled.id: "STARTED", lost.id: "STARTED"})
        await stack.called(2)  # both have their slow answer before them
        await darkroom.cancel(cancelled.id)
        await assert_true(browser, await darkroom.get(cancelled.id))
        os.killpg(worker.pid, signal.SIGKILL)
        other = await stack.start_worker(DARKROOM_LEASE_SECONDS="5")
        again = await darkroom.wait(lost.id, timeout_s=60)
        assert again.state is JobState.SUCCEEDED
        await assert_true(browser, again)
        await alive_are(browser, {str(other.pid)})


async def test_a_flower_that_is_started_later_knows_the_past_and_counts_it_for_none(stack: Stack) -> None:
    await stack.start_worker()
    async with stack.client() as darkroom:
        stack.simulator.script([{"kind": "ok"}, {"kind": "refuse"}])
        past = [await ended(darkroom, "before"), await ended(darkroom, "before")]
        async with watched(stack) as browser:
            await assert_true(browser, *past)
            await hears_workers(browser)
            metrics = (await browser.get("/metrics")).text
            assert 'type="task-' not in metrics
            await assert_true(browser, await ended(darkroom, "now"))
            assert 'type="task-succeeded"' in (await browser.get("/metrics")).text


async def alive_are(browser: httpx.AsyncClient, pids: set[str]) -> None:
    """Wait until these workers and no others are shown as online."""

    def is_so(page: dict[str, Any]) -> bool:
        return {row["hostname"].rsplit("-", 1)[1] for row in page["data"] if row["status"]} == pids

    await page_when(browser, "/workers?json=1", is_so)


async def ended(darkroom: Darkroom, prompt: str, **options: Any) -> Job:
    """Hand a job in and wait for its end."""
    job = await darkroom.submit(prompt=f"{PROMPT}, {prompt}", **options)
    return await darkroom.wait(job.id, timeout_s=30)


def queues(**counts: int) -> list[dict[str, object]]:
    """Say how Flower lists the queue's lengths."""
    return [
        {"name": f"jobs {name}", "messages": counts.get(name, 0)} for name in ("ready", "parked", "waiting", "running")
    ]


def datatable(search: str) -> dict[str, str]:
    """Ask as Flower's page of tasks does."""
    return {
        "draw": "1",
        "start": "0",
        "length": "10",
        "search[value]": search,
        "order[0][column]": "0",
        "order[0][dir]": "desc",
        "columns[0][data]": "uuid",
    }
