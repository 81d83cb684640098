"""A token that is revoked ends what it follows, and its owner's other tokens go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest

from producer.tokens import Tokens
from tests.support.clients.mcp import HELLO, message
from tests.support.stack.stack import Stack

pytestmark = pytest.mark.real_redis
Ask = Callable[[httpx.AsyncClient, str], Coroutine[Any, Any, httpx.Response]]


async def stream(client: httpx.AsyncClient, job: str) -> httpx.Response:
    return await client.get(f"/v1/jobs/{job}/events")


async def poll(client: httpx.AsyncClient, job: str) -> httpx.Response:
    return await client.get(f"/v1/jobs/{job}", params={"wait": 60})


async def images(client: httpx.AsyncClient, _: str) -> httpx.Response:
    return await client.post("/v1/images/generations", json={"prompt": "[slow 60] a hare"})


async def image_events(client: httpx.AsyncClient, _: str) -> httpx.Response:
    return await client.post("/v1/images/generations", json={"prompt": "[slow 60] a hare", "stream": True})


async def session(client: httpx.AsyncClient, _: str) -> httpx.Response:
    accepted = {"Accept": "application/json, text/event-stream"}
    opened = await client.post("/mcp", json=message("initialize", 1, **HELLO), headers=accepted)
    named = accepted | {"Mcp-Session-Id": opened.headers["Mcp-Session-Id"]}
    await client.post("/mcp", json=message("notifications/initialized"), headers=named)
    return await client.get("/mcp", headers=named)


@pytest.mark.parametrize(
    ("ask", "status", "says"),
    [
        (stream, 200, "queued"),
        (poll, 401, "unauthorized"),
        (images, 401, "unauthorized"),
        (image_events, 200, "error"),
        (session, 200, ""),
    ],
)
async def test_a_revoked_token_ends_what_it_follows(ask: Ask, status: int, says: str, stack: Stack) -> None:
    revoked, kept = stack.token("phone", user="ann"), stack.token("desk", user="ann")
    url, _ = await asyncio.gather(stack.start_gateway(DARKROOM_GRACE_SECONDS="60"), stack.start_worker())
    async with (
        httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {revoked}"}, timeout=60) as phone,
        httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {kept}"}, timeout=60) as desk,
    ):
        job = (await phone.post("/v1/jobs", json={"prompt": "[slow 60] a fox"})).json()["id"]
        follows, goes_on = asyncio.create_task(ask(phone, job)), asyncio.create_task(poll(desk, job))
        done, _ = await asyncio.wait({follows, goes_on}, timeout=1.5)
        assert not done
        Tokens(stack.settings().tokens_path).revoke("phone")
        async with asyncio.timeout(10):
            answer = await follows
        assert answer.status_code == status
        assert says in answer.text
        done, _ = await asyncio.wait({goes_on}, timeout=1.5)
        assert not done
        await desk.post(f"/v1/jobs/{job}/cancel")
        assert (await goes_on).json()["state"] == "cancelled"
