"""Strangers and owners do not fill the log of a gateway: of each kind of line there are so many a minute."""

from __future__ import annotations

import asyncio
import signal

import httpx
import pytest

from contract.telemetry.log_budget import MOST_OTHER
from tests.support.stack.stack import Stack

pytestmark = pytest.mark.real_redis
TLS_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"
UPGRADE = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n\r\n"


async def said(url: str, data: bytes) -> bytes:
    """Say something to a gateway; read its whole answer."""
    reader, writer = await asyncio.open_connection(httpx.URL(url).host, httpx.URL(url).port)
    writer.write(data)
    answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize(("data", "words"), [(TLS_HELLO, "Invalid HTTP request"), (UPGRADE, "Unsupported upgrade")])
async def test_what_a_stranger_says_again_and_again_is_a_few_lines_and_their_number(
    data: bytes, words: str, stack: Stack
) -> None:
    url = await stack.start_gateway()
    times = MOST_OTHER + 30
    for _ in range(times):
        assert (await said(url, data)).startswith((b"HTTP/1.1 400", b"HTTP/1.1 200"))
    stack.gateway_at(url).send_signal(signal.SIGTERM)
    await stack.says("gateway", f" 30 more lines were left out, as there were {MOST_OTHER} in a minute: {words}")
    lines = [line for line in stack.logs("gateway").splitlines() if words in line and "left out" not in line]
    assert len(lines) == MOST_OTHER


async def test_a_job_that_is_deleted_while_it_is_followed_is_a_few_lines(stack: Stack) -> None:
    url = await stack.start_gateway(DARKROOM_MAX_STREAMS_PER_OWNER="20")
    headers = {"Authorization": f"Bearer {stack.token()}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as ann:
        job = (await ann.post("/v1/jobs", json={"prompt": "a fox"})).json()["id"]
        follows = [asyncio.create_task(ann.get(f"/v1/jobs/{job}/events")) for _ in range(15)]
        follows += [asyncio.create_task(ann.get(f"/v1/jobs/{job}", params={"wait": 30})) for _ in range(15)]
        await stack.says("gateway", f"job {job} accepted")
        assert (await ann.delete(f"/v1/jobs/{job}")).status_code == 204
        await asyncio.gather(*follows)
    lines = [line for line in stack.logs("gateway").splitlines() if "uvicorn.error" not in line]
    assert len(lines) < 5, lines
