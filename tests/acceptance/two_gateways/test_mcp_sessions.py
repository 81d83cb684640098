"""MCP before two gateways that take turns at connections: the SDK's client, and one by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.support.clients.mcp import HELLO, message, shown, told, tools_at
from tests.support.stack.round_robin import RoundRobin
from tests.support.stack.shared_stack import Account, SharedStack, fresh

pytestmark = [pytest.mark.real_redis, pytest.mark.asyncio(loop_scope="module")]
BOTH = "application/json, text/event-stream"
LOOK = message("tools/list", 2)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def urls(shared_stack: SharedStack) -> list[str]:
    """Two gateways with one Redis."""
    return [shared_stack.url, await shared_stack.stack.start_gateway()]


@pytest_asyncio.fixture(loop_scope="module")
async def front(urls: list[str]) -> AsyncIterator[RoundRobin]:
    """The load balancer before them."""
    async with RoundRobin(*urls) as front:
        yield front


def by_hand(token: str, **headers: str) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {token}", "Accept": BOTH} | headers
    return httpx.AsyncClient(headers=headers, timeout=30)


async def opened(http: httpx.AsyncClient, url: str) -> dict[str, str]:
    """Open a session at a gateway; answer the headers that name it."""
    answer = await http.post(f"{url}/mcp", json=message("initialize", 1, **HELLO))
    assert answer.status_code == 200, answer.text
    named = {"Mcp-Session-Id": answer.headers["Mcp-Session-Id"], "Mcp-Protocol-Version": "2025-11-25"}
    ready = await http.post(f"{url}/mcp", json=message("notifications/initialized"), headers=named)
    assert ready.status_code == 202
    return named


async def test_a_client_of_the_sdk_keeps_its_session_wherever_it_comes(front: RoundRobin, account: Account) -> None:
    async with tools_at(front.url, account.token) as ann:
        jobs = []
        for _ in range(4):
            answer = await ann.call_tool("generate_image", {"prompt": fresh()})
            assert len(shown(answer)) == 1
            jobs.append(told(answer)["job_id"])
            front.break_all()
        listed = told(await ann.call_tool("list_image_jobs", {}))["jobs"]
    assert [job["job_id"] for job in listed] == list(reversed(jobs))
    assert min(front.taken) > 1


async def test_a_call_is_answered_while_others_go_to_the_other_gateway(
    shared_stack: SharedStack, front: RoundRobin, account: Account
) -> None:
    heard: list[float] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(progress)

    async with tools_at(front.url, account.token) as ann:
        prompts = [fresh("[slow 1]") for _ in range(4)]
        answers = await asyncio.gather(
            *(ann.call_tool("generate_image", {"prompt": prompt}, progress_callback=hear) for prompt in prompts)
        )
    assert [told(answer)["state"] for answer in answers] == ["succeeded"] * 4
    assert heard.count(1) == 4
    assert len(await shared_stack.jobs(account.owner)) == 4


async def test_an_equal_call_at_the_other_gateway_means_the_same_job(
    shared_stack: SharedStack, urls: list[str], account: Account
) -> None:
    async with tools_at(urls[0], account.token) as one, tools_at(urls[1], account.token) as other:
        asked = {"prompt": fresh("[slow 1]")}
        first, second = await asyncio.gather(*(ann.call_tool("generate_image", asked) for ann in (one, other)))
        assert told(first)["job_id"] == told(second)["job_id"]
        assert sorted((told(first)["is_repeat"], told(second)["is_repeat"])) == [False, True]
        edit = await other.call_tool("generate_image", {"prompt": fresh(), "reference_images": ["latest"]})
        assert len(shown(edit)) == 1
    assert len(await shared_stack.jobs(account.owner)) == 2


async def test_a_session_is_its_owners_alone_at_each_gateway(
    shared_stack: SharedStack, urls: list[str], account: Account
) -> None:
    one, other = urls
    async with by_hand(account.token) as ann, by_hand(shared_stack.account().token) as bob:
        named = await opened(ann, one)
        look = await ann.post(f"{other}/mcp", json=LOOK, headers=named)
        assert (look.status_code, look.headers["Mcp-Session-Id"]) == (200, named["Mcp-Session-Id"])
        assert len(json.loads(look.text.partition("data: ")[2])["result"]["tools"]) == 4
        for url in urls:
            assert (await bob.post(f"{url}/mcp", json=LOOK, headers=named)).status_code == 404
            assert (await bob.delete(f"{url}/mcp", headers=named)).status_code == 404
        assert (await ann.delete(f"{other}/mcp", headers=named)).status_code == 200
        assert (await ann.post(f"{other}/mcp", json=LOOK, headers=named)).status_code == 404


async def test_an_old_client_that_names_no_version_is_served(urls: list[str], account: Account) -> None:
    one, other = urls
    async with by_hand(account.token) as ann:
        named = {"Mcp-Session-Id": (await opened(ann, one))["Mcp-Session-Id"]}
        assert (await ann.post(f"{other}/mcp", json=LOOK, headers=named)).status_code == 200


async def test_an_owner_has_sixteen_sessions_at_both_together(urls: list[str], account: Account) -> None:
    async with by_hand(account.token) as ann:
        sessions = [await opened(ann, urls[number % 2]) for number in range(17)]
        elsewhere = [(urls[(number + 1) % 2], named) for number, named in enumerate(sessions)]  # nothing is known there
        found = [(await ann.post(f"{url}/mcp", json=LOOK, headers=named)).status_code for url, named in elsewhere]
    assert sorted(found) == [200] * 16 + [404]
    assert found.index(404) < 4  # the one that was idle longest, as far as gateways tell each other


async def test_a_session_outlives_the_gateway_that_opened_it(shared_stack: SharedStack, account: Account) -> None:
    stack = shared_stack.stack
    doomed = await stack.start_gateway()
    async with by_hand(account.token) as ann:
        named = await opened(ann, doomed)
        stack.end(stack.gateway_at(doomed))
        assert (await ann.post(f"{shared_stack.url}/mcp", json=LOOK, headers=named)).status_code == 200


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("reason", ["AbortError: This operation was aborted", "MCP error -32001: Request timed out"])
async def test_a_call_ends_when_it_is_cancelled_at_either_gateway(
    shared_stack: SharedStack, urls: list[str], account: Account, at: int, reason: str
) -> None:
    async with by_hand(account.token) as ann, asyncio.timeout(30):
        named = await opened(ann, urls[0])
        call = message("tools/call", 7, name="generate_image", arguments={"prompt": (prompt := fresh("[slow 60]"))})
        calling = asyncio.create_task(ann.post(f"{urls[0]}/mcp", json=call, headers=named))
        await shared_stack.called(prompt)
        for request_id in (8, 7):  # the first one is not this call
            assert not calling.done()
            cancel = message("notifications/cancelled", requestId=request_id, reason=reason)
            assert (await ann.post(f"{urls[at]}/mcp", json=cancel, headers=named)).status_code == 202
        error = json.loads((await calling).text.partition("data: ")[2])["error"]
        assert error["message"] == "Request cancelled"
        if "timed out" not in reason:
            await shared_stack.cancelled(account.owner)
            return
        [job] = await shared_stack.jobs(account.owner)
        look = message("tools/call", 9, name="cancel_image_job", arguments={"job_id": job.id})
        told = json.loads((await ann.post(f"{urls[at]}/mcp", json=look, headers=named)).text.partition("data: ")[2])
        assert not job.is_over, "the user may still want it"
        assert told["result"]["structuredContent"]["state"] == "cancelled"
