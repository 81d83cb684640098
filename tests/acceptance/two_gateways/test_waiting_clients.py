"""Clients whose connection breaks at one gateway and who come back to another one lose neither image nor call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from openai import AsyncOpenAI

from contract.jobs.job import Job, JobState
from contract.redis.client import open_redis
from contract.store.keys import presence_key
from tests.support.stack.round_robin import RoundRobin
from tests.support.stack.stack import Stack

pytestmark = pytest.mark.real_redis
HURRY = {"DARKROOM_LINGER_SECONDS": "2", "DARKROOM_POLLING_LINGER_SECONDS": "2"}


@pytest.fixture
async def front(stack: Stack) -> AsyncIterator[RoundRobin]:
    """The load balancer before two gateways that soon give up a client; no worker runs yet."""
    urls = await asyncio.gather(stack.start_gateway(**HURRY), stack.start_gateway(**HURRY))
    async with RoundRobin(*urls) as front:
        yield front


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await is_so():
            await asyncio.sleep(0.02)


async def job_of(stack: Stack) -> Job:
    """Wait until Ann has a job."""
    async with stack.client() as ann:
        await until(lambda: has_jobs(ann.list()))
        [job] = await ann.list()
        return job


async def has_jobs(jobs: Awaitable[list[Job]]) -> bool:
    return bool(await jobs)


async def waits_at(stack: Stack, job: Job, gateways: int) -> None:
    """Wait until clients wait for a job at so many gateways."""

    async def is_so() -> bool:
        return await redis.zcard(presence_key(job.id)) == gateways

    async with open_redis(stack.redis.url) as redis:
        await until(is_so)


async def moves(stack: Stack, job: Job) -> None:
    """Wait until the clients of a job have come to a second gateway, and the first one has given it up."""
    await waits_at(stack, job, 2)
    await waits_at(stack, job, 1)


async def test_a_client_of_openai_comes_back_to_the_other_gateway(stack: Stack, front: RoundRobin) -> None:
    async with AsyncOpenAI(base_url=f"{front.url}/v1", api_key=stack.token(), max_retries=5) as ann:
        asking = asyncio.create_task(ann.images.generate(prompt="a red fox"))
        job = await job_of(stack)
        await waits_at(stack, job, 1)
        front.break_all()
        await moves(stack, job)
        await stack.start_worker()
        answer = await asking
    assert answer.data
    assert answer.data[0].b64_json
    assert (len(stack.simulator.ledger), (await job_of(stack)).state) == (1, JobState.SUCCEEDED)


async def test_a_client_that_does_not_come_back_takes_its_job_along(stack: Stack, front: RoundRobin) -> None:
    async with AsyncOpenAI(base_url=f"{front.url}/v1", api_key=stack.token(), max_retries=0) as ann:
        asking = asyncio.create_task(ann.images.generate(prompt="a red fox"))
        job = await job_of(stack)
        await waits_at(stack, job, 1)
        asking.cancel()
    async with stack.client() as ann:
        assert (await ann.wait(job.id, timeout_s=20)).state is JobState.CANCELLED


async def test_a_task_of_modelscope_is_asked_for_at_the_other_gateway(stack: Stack, front: RoundRobin) -> None:
    body = {"model": "openai/gpt-5.4-image-2", "prompt": "a red fox", "size": "1024x1024"}
    headers = {"Authorization": f"Bearer {stack.token()}"}
    one, other = (httpx.AsyncClient(base_url=f"{front.url}/v1", headers=headers, timeout=40) for _ in range(2))
    async with one, other:
        task = (await one.post("/images/generations", json=body, headers={"X-ModelScope-Async-Mode": "true"})).json()
        asking = asyncio.create_task(other.get(f"/tasks/{task['task_id']}"))
        await moves(stack, await job_of(stack))
        await stack.start_worker()
        answer = (await asking).json()
    assert (answer["task_status"], len(answer["output_images"]), front.taken) == ("SUCCEED", 1, [1, 1])
    assert len(stack.simulator.ledger) == 1


async def test_a_task_that_is_asked_for_nowhere_any_more_is_cancelled(stack: Stack, front: RoundRobin) -> None:
    body = {"model": "openai/gpt-5.4-image-2", "prompt": "a red fox", "size": "1024x1024"}
    headers = {"Authorization": f"Bearer {stack.token()}"}
    one, other = (httpx.AsyncClient(base_url=f"{front.url}/v1", headers=headers, timeout=40) for _ in range(2))
    async with one, other:
        task = (await one.post("/images/generations", json=body, headers={"X-ModelScope-Async-Mode": "true"})).json()
        asking = asyncio.create_task(other.get(f"/tasks/{task['task_id']}"))
        await moves(stack, job := await job_of(stack))
        asking.cancel()
        async with stack.client() as ann:
            assert (await ann.wait(job.id, timeout_s=20)).state is JobState.CANCELLED
