"""The catalogue's groups rate and infra, and a client that never reads: each with a gateway of its own."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from redis import Redis

from tests.catalogues.bad_input.checks import check_problem
from tests.catalogues.bad_input.uploads import GOOD, PNG
from tests.support.stack.redis_server import RealRedis
from tests.support.stack.stack import Stack

pytestmark = pytest.mark.real_redis
MISSING = "/v1/jobs/00000000-0000-4000-8000-000000000000"
SMALL = {"DARKROOM_RATE": "4/minute", "DARKROOM_MISS_RATE": "3/minute", "DARKROOM_MAX_QUEUED": "2"}


@pytest.fixture
async def ann(stack: Stack) -> AsyncIterator[httpx.Client]:
    """Ann, at a gateway with room for two jobs, four requests and three misses."""
    headers = {"Authorization": f"Bearer {stack.token('ann')}"}
    with httpx.Client(base_url=await stack.start_gateway(**SMALL), headers=headers, timeout=30) as ann:
        yield ann


def refused(answer: httpx.Response, status: int, code: str) -> None:
    """Look at an error."""
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    check_problem(answer)


def submit(ann: httpx.Client) -> httpx.Response:
    """Hand in a job."""
    return ann.post("/v1/jobs", json={"prompt": "a red fox"})


def test_B73_B54_who_asks_too_much_is_told_when_to_come_back(ann: httpx.Client) -> None:
    first, second = submit(ann), submit(ann)
    assert [first.status_code, second.status_code] == [202, 202]
    assert first.headers["RateLimit-Policy"] == '"submit";q=4;w=60'
    assert second.headers["RateLimit"].startswith('"submit";r=2;t=')
    refused(submit(ann), 503, "queue_full")
    submit(ann)
    refused(submit(ann), 429, "rate_limited")
    for _ in range(3):
        refused(ann.get(MISSING), 404, "job_not_found")
    refused(ann.get(MISSING), 429, "rate_limited")


def test_B75_without_Redis_it_says_so_at_once(ann: httpx.Client, own_redis: RealRedis) -> None:
    with Redis.from_url(own_redis.url) as redis:
        redis.script_flush()
        assert submit(ann).status_code == 202
        redis.config_set("maxmemory", 1)
        full = submit(ann)
        refused(full, 503, "queue_full")
        assert "Redis has used all the memory" in full.json()["detail"]
    own_redis.kill()
    begun = time.monotonic()
    told = submit(ann)
    refused(told, 503, "queue_unavailable")
    assert (int(told.headers["Retry-After"]) <= 3, time.monotonic() - begun < 3) == (True, True)
    assert [ann.get(path).status_code for path in ("/readyz", "/livez")] == [503, 200]


def test_B76_without_a_place_to_write_it_says_so(ann: httpx.Client, stack: Stack) -> None:
    (stack.settings().home / "inputs").write_bytes(b"in the way")
    refused(ann.post("/v1/uploads", content=GOOD, headers=PNG), 507, "storage_full")
    assert ann.get("/readyz").status_code == 200
    stack.settings().media.write_bytes(b"in the way")
    assert [ann.get(path).status_code for path in ("/readyz", "/livez")] == [503, 200]


async def test_B64_who_never_reads_is_left(stack: Stack) -> None:
    headers = {"Authorization": f"Bearer {stack.token()}"}
    url, _ = await asyncio.gather(
        stack.start_gateway(module="tests.support.stack.impatient_gateway"), stack.start_worker()
    )
    image = await large_image(url, headers, stack)
    with socket.create_connection(("127.0.0.1", httpx.URL(url).port or 0), timeout=10) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.sendall(f"GET {image['signed_url'].removeprefix(url)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await stack.says("gateway", "left a client")
    assert "Traceback" not in stack.logs("gateway")


async def large_image(url: str, headers: dict[str, str], stack: Stack) -> dict[str, Any]:
    """Have an image made, and let it grow until no buffer takes it."""
    async with httpx.AsyncClient(base_url=url, headers=headers | {"Prefer": "wait=30"}, timeout=30) as ann:
        image: dict[str, Any] = (await ann.post("/v1/jobs", json={"prompt": "a red fox"})).json()["images"][0]
    [path] = stack.folder.rglob(f"{image['id']}.png")
    path.write_bytes(bytes(64 * 2**20))
    return image
