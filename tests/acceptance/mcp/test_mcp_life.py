"""The life of MCP sessions and calls: clients that go, gateways that stop, and others who have an id."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from pathlib import Path

import httpx
import pytest
from mcp.shared.exceptions import MCPError

from contract.jobs.job import Job, JobState
from tests.support.clients.mcp import HELLO, message, refused, shown, told, tools_at, tools_of_command
from tests.support.stack.stack import Stack

pytestmark = pytest.mark.real_redis
BOTH = "application/json, text/event-stream"


def client(url: str, token: str) -> httpx.AsyncClient:
    """Make a client that speaks MCP by hand."""
    headers = {"Authorization": f"Bearer {token}", "Accept": BOTH}
    return httpx.AsyncClient(base_url=url, headers=headers, timeout=30)


async def open_session(http: httpx.AsyncClient) -> dict[str, str]:
    """Open a session; answer the headers that name it."""
    answer = await http.post("/mcp", json=message("initialize", 1, **HELLO))
    assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (200, "text/event-stream")
    named = {"Mcp-Session-Id": answer.headers["Mcp-Session-Id"]}
    assert (await http.post("/mcp", json=message("notifications/initialized"), headers=named)).status_code == 202
    return named


async def jobs_of(stack: Stack, *, least: int = 1) -> list[Job]:
    """Wait until Ann has so many jobs."""
    async with stack.client() as darkroom, asyncio.timeout(10):
        while len(found := await darkroom.list()) < least:
            await asyncio.sleep(0.02)
    return found


async def end_of(stack: Stack, job: Job) -> Job:
    """Wait for a job."""
    async with stack.client() as darkroom:
        return await darkroom.wait(job.id, timeout_s=20)


def slow(stack: Stack, seconds: float) -> None:
    """Let the next call to the provider take its time."""
    stack.simulator.script([{"kind": "slow", "seconds": seconds}])


async def test_a_session_is_its_owners_alone_and_ends_once(stack: Stack) -> None:
    bobs = stack.token("bob")
    url = await stack.start_gateway()
    async with client(url, stack.token()) as ann, client(url, bobs) as bob:
        named = await open_session(ann)
        look = message("tools/list", 2)
        answers = [
            await bob.post("/mcp", json=look, headers=named),
            await bob.delete("/mcp", headers=named),
            await bob.post("/mcp", json=look, headers={"Mcp-Session-Id": "0" * 32}),
        ]
        assert {(answer.status_code, answer.text) for answer in answers} == {(404, answers[0].text)}
        assert (await ann.post("/mcp", json=look, headers=named)).status_code == 200
        assert (await ann.delete("/mcp", headers=named)).status_code == 200
        assert (await ann.post("/mcp", json=look, headers=named)).status_code == 404


async def test_an_owner_has_so_many_sessions_and_the_oldest_idle_one_gives_way(stack: Stack) -> None:
    token = stack.token()
    url = await stack.start_gateway()
    async with client(url, token) as ann:
        sessions = [await open_session(ann) for _ in range(17)]
        look = message("tools/list", 2)
        found = [(await ann.post("/mcp", json=look, headers=named)).status_code for named in sessions]
        assert found == [404, *[200] * 16]


async def test_an_answer_begins_before_it_is_there(stack: Stack) -> None:
    token = stack.token()
    url, _ = await asyncio.gather(stack.start_gateway(), stack.start_worker())
    slow(stack, 1)
    async with client(url, token) as ann:
        named = await open_session(ann)
        call = message("tools/call", 2, name="generate_image", arguments={"prompt": "x"})
        begun = time.monotonic()
        async with ann.stream("POST", "/mcp", json=call, headers=named) as answer:
            head_s = time.monotonic() - begun
            await answer.aread()
        assert (head_s < 0.5 < 1 < time.monotonic() - begun) is True
        assert json.loads(answer.text.partition("data: ")[2])["result"]["structuredContent"]["state"] == "succeeded"


async def test_the_gateway_stops_at_once_although_sessions_are_open_and_the_repeat_finds_its_job(stack: Stack) -> None:
    token = stack.token()
    url, _ = await asyncio.gather(stack.start_gateway(), stack.start_worker())
    slow(stack, 2)
    async with tools_at(url, token) as ann:
        await ann.list_tools()  # or it would ask for the form of the answer, after that has come
        calling = asyncio.create_task(ann.call_tool("generate_image", {"prompt": "x"}))
        [job] = await jobs_of(stack)
        begun = time.monotonic()
        stack.gateways[0].send_signal(signal.SIGTERM)
        parting = told(await calling)
        assert (parting["job_id"], parting["state"] in ("queued", "running")) == (job.id, True)
        assert await asyncio.to_thread(stack.gateways[0].wait, 10) == 0
        assert time.monotonic() - begun < 3
    url = await stack.start_gateway()
    async with tools_at(url, token) as ann:
        again = await ann.call_tool("generate_image", {"prompt": "x"})
    assert (told(again)["job_id"], told(again)["is_repeat"], len(shown(again))) == (job.id, True, 1)
    assert len(await jobs_of(stack)) == 1
    assert "Traceback" not in stack.logs("gateway")


async def test_a_killed_gateway_costs_no_second_job(stack: Stack) -> None:
    token = stack.token()
    url, _ = await asyncio.gather(stack.start_gateway(), stack.start_worker())
    slow(stack, 1)
    async with client(url, token) as ann:
        named = await open_session(ann)
        call = message("tools/call", 2, name="generate_image", arguments={"prompt": "x"})
        calling = asyncio.create_task(ann.post("/mcp", json=call, headers=named))
        [job] = await jobs_of(stack)
        stack.end(stack.gateways[0])
        with pytest.raises(httpx.TransportError):
            await calling
    url = await stack.start_gateway()
    async with tools_at(url, token) as ann:
        assert told(await ann.call_tool("generate_image", {"prompt": "x"}))["job_id"] == job.id
    assert len(await jobs_of(stack)) == 1


async def test_without_redis_every_tool_says_so_within_three_seconds(stack: Stack) -> None:
    token = stack.token()
    url = await stack.start_gateway()
    async with (
        tools_at(url, token) as over_http,
        tools_of_command(stack.environment | {"DARKROOM_CONFIG": str(stack.config)}, stack.folder / "mcp.log") as local,
    ):
        stack.redis.kill()
        for ann in (over_http, local):
            for tool, asked in (
                ("generate_image", {"prompt": "x"}),
                ("get_image_job", {"job_id": "00000000-0000-4000-8000-000000000000", "wait_seconds": 20}),
                ("list_image_jobs", {}),
            ):
                begun = time.monotonic()
                assert refused(await ann.call_tool(tool, asked)).startswith("The job queue (Redis) does not answer.")
                assert time.monotonic() - begun < 3


async def test_over_stdio_the_same_tools_are_there(stack: Stack) -> None:
    await stack.start_worker()
    environment = stack.environment | {"DARKROOM_CONFIG": str(stack.config)}
    log = stack.folder / "mcp.log"
    async with tools_of_command(environment, log, "--owner", "ann") as ann:
        answer = await ann.call_tool("generate_image", {"prompt": "canary"})
        [image] = told(answer)["images"]
        assert image["path"].startswith(str(stack.folder))
        assert len(shown(answer)) == 1
        for reference in ("latest", image["id"], image["path"]):
            edit = await ann.call_tool("generate_image", {"prompt": "warmer", "reference_images": [reference]})
            assert len(shown(edit)) == 1
        elsewhere = stack.folder.parent / f"{stack.folder.name}-elsewhere.png"
        elsewhere.write_bytes(Path(image["path"]).read_bytes())
        for outside in ("/etc/passwd", str(elsewhere)):
            answer = await ann.call_tool("generate_image", {"prompt": "x", "reference_images": [outside]})
            assert outside not in refused(answer), "a model may not name what its user may read"
        job = told(await ann.call_tool("list_image_jobs", {"limit": 1}))["jobs"][0]
        assert told(await ann.call_tool("get_image_job", {"job_id": job["job_id"]}))["state"] == "succeeded"
    assert [call.references for call in stack.simulator.ledger] == [0, 1, 1, 1]
    assert log.read_text() == ""


async def test_a_stdio_server_ends_with_its_client_and_its_job_goes_on(stack: Stack) -> None:
    await stack.start_worker()
    environment = stack.environment | {"DARKROOM_CONFIG": str(stack.config)}
    slow(stack, 1)
    async with tools_of_command(environment, stack.folder / "mcp.log", "--owner", "ann") as ann:
        calling = asyncio.create_task(ann.call_tool("generate_image", {"prompt": "x"}))
        [job] = await jobs_of(stack)
    await asyncio.wait({calling})
    assert calling.exception() is not None, "the connection has ended"
    assert (await end_of(stack, job)).state is JobState.SUCCEEDED


async def test_a_call_that_is_stopped_over_stdio_takes_its_job_with_it_and_a_time_out_does_not(stack: Stack) -> None:
    environment = stack.environment | {"DARKROOM_CONFIG": str(stack.config)}
    async with tools_of_command(environment, stack.folder / "mcp.log", "--owner", "ann") as ann:
        with pytest.raises(MCPError, match="timed out"):
            await ann.call_tool("generate_image", {"prompt": "a fox"}, read_timeout_seconds=4)
        await jobs_of(stack)
        calling = asyncio.create_task(ann.call_tool("generate_image", {"prompt": "a hen"}))
        await jobs_of(stack, least=2)
        calling.cancel()
        await asyncio.wait({calling})
    stopped, left = await jobs_of(stack, least=2)  # the server has ended with all that was to be done
    assert (stopped.request.prompt, stopped.state) == ("a hen", JobState.CANCELLED)
    assert (left.request.prompt, left.state) == ("a fox", JobState.QUEUED)
