"""What real workers and gateways log: a line for each thing that people look for, with its ids, and no secret."""

from __future__ import annotations

import re

import httpx
import pytest

from contract.jobs.job import JobState
from contract.redis.client import open_redis
from producer.stack.ports import free_port
from tests.support.clients.mcp import tools_at
from tests.support.clients.openapi_requests import routes
from tests.support.network.http_client import Connection
from tests.support.network.redis_outages import counted_redis
from tests.support.stack.stack import Stack

pytestmark = pytest.mark.real_redis

HOSTILE = {"X-Request-Id": "canary-id\tERROR forged" + "x" * 500}
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@pytest.fixture
async def http(stack: Stack) -> httpx.AsyncClient:
    """A client of a gateway, whose requests have a name of their own that means mischief."""
    url = await stack.start_gateway()
    auth = {"Authorization": f"Bearer {stack.token()}"}
    return httpx.AsyncClient(base_url=url, headers=auth | HOSTILE, timeout=60)


async def test_each_accepted_job_is_a_line_with_its_request_on_every_face(
    stack: Stack, http: httpx.AsyncClient
) -> None:
    await stack.start_worker()
    body = {"prompt": "a canary"}
    modelscope = {"X-ModelScope-Async-Mode": "true"}
    async with http:
        done = await http.post("/v1/jobs", json=body, headers={"Prefer": "wait=20"})
        again = await http.post(f"/v1/jobs/{done.json()['id']}/retry")
        openai = await http.post("/v1/images/generations", json=body)
        task = await http.post("/v1/images/generations", json=body, headers=modelscope)
        keyed = [await http.post("/v1/jobs", json=body, headers={"Idempotency-Key": "k"}) for _ in range(2)]
        token = http.headers["authorization"].split()[1]
        async with tools_at(str(http.base_url), token, **{"X-Request-Id": "canary-id"}) as client:
            told = await client.call_tool("generate_image", body)
    jobs = [
        (done, done.json()["id"]),
        (again, again.json()["id"]),
        (openai, openai.headers["x-darkroom-job"]),
        (task, task.json()["task_id"]),
        (keyed[0], keyed[0].json()["id"]),
    ]
    lines = [line for line in stack.logs("gateway").splitlines() if " accepted request_id=" in line]
    for answer, job_id in jobs:
        assert sum(f"job {job_id} accepted request_id={answer.headers['x-request-id']}" in line for line in lines) == 1
    replay = f"job {keyed[1].json()['id']} was accepted before request_id={keyed[1].headers['x-request-id']}"
    assert sum(replay in line for line in stack.logs("gateway").splitlines()) == 1
    assert told.structured_content is not None
    [line] = [line for line in lines if told.structured_content["job_id"] in line]
    assert re.search(r"request_id=req_[0-9a-f]{24}$", line)
    assert len(lines) == len(jobs) + 1
    assert "canary" not in stack.logs("gateway")


async def test_each_answer_of_5xx_is_a_line_with_its_request_its_job_and_the_cause(stack: Stack) -> None:
    url = await stack.start_gateway()
    ann = Connection(int(url.rpartition(":")[2]), stack.token())
    page = (await ann.ask("GET", "/openapi.json")).json()
    job_id = "00000000-0000-4000-8000-000000000000"
    known = routes(page, job_id=job_id, task_id=job_id, artifact_id="img_0123456789ab", model="m")
    stack.redis.kill()
    answers = [(route, await route.ask(ann, **{"X-Request-Id": "canary-id"})) for route in known]
    odd = await ann.ask("GET", "/v1/jobs/x%0aERROR%1b[31mforged%c2%85canary")
    ann.close_all()
    problems = [(route, answer) for route, answer in answers if answer.status >= 500 and str(route) != "GET /readyz"]
    assert len(problems) > 5
    log = stack.logs("gateway").splitlines()
    for route, answer in problems:
        [line] = [line for line in log if answer.headers["x-request-id"] in line]
        assert f"{route}: 503 queue_unavailable (Redis does not answer: nothing listens there)" in line
        assert ("{job_id}" in route.path) == (f"job_id={job_id}" in line)
    assert odd.status == 503
    [line] = [line for line in log if odd.headers["x-request-id"] in line]
    assert "GET /v1/jobs/{job_id}: 503" in line
    for secret in ("canary", "forged", "\x1b", ann.token):
        assert secret not in stack.logs("gateway")


async def test_a_failed_job_that_answers_5xx_is_a_line_with_its_job(stack: Stack, http: httpx.AsyncClient) -> None:
    stack.simulator.script([{"kind": "status", "status": 401, "times": "always"}])
    await stack.start_worker()
    async with http:
        failed = await http.post("/v1/images/generations", json={"prompt": "a canary"})
    assert failed.status_code >= 500
    job_id = failed.headers["x-darkroom-job"]
    [line] = await stack.says("gateway", rf"POST /v1/images/generations: {failed.status_code} provider_auth")
    assert f"job_id={job_id} request_id={failed.headers['x-request-id']}" in line
    [line] = await stack.says("worker", f"job {job_id} failed")
    assert line.endswith(f" INFO worker.execution.job_run: job {job_id} failed: provider_auth")
    assert "canary" not in stack.logs("gateway") + stack.logs()


async def test_a_line_about_an_image_names_its_job(stack: Stack) -> None:
    await stack.start_worker(DARKROOM_FAILPOINT="before_write:1:ENOSPC")
    async with stack.client() as darkroom:
        job = await darkroom.wait((await darkroom.submit(prompt="a canary")).id, timeout_s=20)
    assert job.error is not None
    [line] = await stack.says("worker", "cannot store an image")
    assert line.endswith(f"No space left on device job_id={job.id}")
    [line] = await stack.says("worker", f"job {job.id} failed: storage_full")
    assert "canary" not in stack.logs()


async def test_a_lost_redis_and_its_return_are_a_line_each(stack: Stack) -> None:
    stack.forks = False  # so that its imports can warn here
    async with counted_redis(stack) as redis, stack.client() as darkroom:
        await stack.start_worker(network=redis.network, DARKROOM_REDIS_URL=redis.url)
        said = len(stack.logs())
        redis.goes_away()
        await stack.says("worker", "Redis is away")
        await redis.is_tried(3, by="darkroom-loop")
        await redis.is_tried(2, by="MainThread")  # which is Celery
        redis.comes_back()
        await stack.says("worker", "Redis is back")
        job = await darkroom.wait((await darkroom.submit(prompt="a canary")).id, timeout_s=20)
        assert job.state is JobState.SUCCEEDED
        await stack.says("worker", f"job {job.id} succeeded")
    lines = [line[24:] for line in stack.logs()[said:].splitlines() if re.match(r"\d{4}-", line)]
    assert len(lines) == 3, lines
    away, back, end = lines
    assert re.fullmatch("WARNING worker.execution.leases: Redis is away: it .+; 0 jobs go on without it", away)
    assert re.fullmatch(r"INFO worker.execution.leases: Redis is back after \d+ s", back)
    assert end == f"INFO worker.execution.job_run: job {job.id} succeeded"
    assert "Deprecation" not in stack.logs()


async def test_a_gateway_tells_of_a_lost_redis_too(stack: Stack) -> None:
    async with open_redis(stack.redis.url) as redis:
        await redis.config_set("appendfsync", "everysec")
    async with counted_redis(stack) as redis:
        redis.start_command("producer.api", of="gateway", DARKROOM_PORT=str(free_port()))
        await stack.says("gateway", "appendfsync everysec")  # it has looked
        redis.goes_away()
        await stack.says("gateway", "WARNING .* Redis is away: it does not answer: nothing listens there")
        await redis.is_tried(3)
        redis.comes_back()
        await stack.says("gateway", r"INFO .* Redis is back after \d+ s")
    assert stack.logs("gateway").count("Redis is") == 2


@pytest.mark.parametrize("part", ["worker", "gateway"])
async def test_a_redis_that_is_waited_for_is_told_once_and_its_arrival_once(part: str, stack: Stack) -> None:
    async with counted_redis(stack) as redis:
        redis.goes_away()
        module = {"worker": "worker", "gateway": "producer.api"}[part]
        redis.start_command(module, of=part, DARKROOM_PORT=str(free_port()))
        await stack.says(part, "waiting for Redis, which does not answer: nothing listens there")
        await redis.is_tried(3)
        redis.comes_back()
        await stack.says(part, "Redis is there")
    assert [len(await stack.says(part, words)) for words in ("waiting for Redis", "Redis is there")] == [1, 1]


async def test_an_outage_of_the_provider_and_its_end_are_a_line_each_whichever_worker_sees_it(stack: Stack) -> None:
    for _ in range(2):
        await stack.start_worker(DARKROOM_BREAKER_SECONDS="0.3")
    stack.simulator.script([{"kind": "status", "status": 503, "times": 9}])
    async with stack.client("canary-ann") as darkroom:
        jobs = [await darkroom.submit(prompt="a canary") for _ in range(6)]
        for job in jobs:
            assert (await darkroom.wait(job.id, timeout_s=60)).state is JobState.SUCCEEDED
    [opened] = await stack.says("worker", "circuit breaker opened")
    [closed] = await stack.says("worker", "circuit breaker closed")
    ids = "|".join(job.id for job in jobs)
    calls = r"calls to openrouter, model \S+, for the jobs of owner [0-9a-f]{8}"
    assert re.search(rf"WARNING .* opened: {calls} fail \(provider_down\); .* job_id=({ids})$", opened)
    assert re.search(rf"INFO .* closed: {calls} are made again, after \d+ s \(provider_down\) job_id=({ids})$", closed)
    assert "canary" not in stack.logs()
