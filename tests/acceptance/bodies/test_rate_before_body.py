"""Whoever is over the rate is told so at the head of a request: its body is neither asked for nor kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio

from producer.tokens import Right
from tests.support.stack.shared_stack import SharedStack, fresh

pytestmark = [pytest.mark.real_redis, pytest.mark.asyncio(loop_scope="module")]
LENGTH = 2**20
EXPECT = {"Expect": "100-continue"}
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Body = tuple[str, str, dict[str, str]]
BODIES: tuple[Body, ...] = (  # every route that takes one, in the type that it takes most of
    ("/v1/jobs", "application/json", {}),
    ("/v1/uploads", "image/png", {}),
    ("/v1/uploads", "multipart/form-data; boundary=a", {}),
    ("/v1/images/generations", "application/json", {}),
    ("/v1/images/generations", "application/json", {"X-ModelScope-Async-Mode": "true"}),
    ("/v1/images/edits", "application/json", {}),
    ("/v1/images/edits", "multipart/form-data; boundary=a", {}),
    ("/mcp", "application/json", {"Accept": "application/json, text/event-stream"}),
)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def url(shared_stack: SharedStack) -> str:
    """A gateway at which one submit a day is too many."""
    return await shared_stack.stack.start_gateway(DARKROOM_RATE="1/day")


@asynccontextmanager
async def begun(url: str, token: str, path: str, kind: str, more: dict[str, str]) -> AsyncIterator[Streams]:
    """Send the head of a request whose body would be large; give its connection."""
    reader, writer = await asyncio.open_connection(urlsplit(url).hostname, urlsplit(url).port)
    headers = {"Host": urlsplit(url).netloc, "Authorization": f"Bearer {token}", "Content-Type": kind} | more
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    writer.write("\r\n".join([*lines, f"Content-Length: {LENGTH}", "", ""]).encode())
    await writer.drain()
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


@pytest.mark.parametrize("row", BODIES, ids=lambda row: f"{row[0]} {row[1]} {len(row[2])}")
async def test_a_body_of_who_is_over_the_rate_is_not_asked_for(shared_stack: SharedStack, url: str, row: Body) -> None:
    path, kind, more = row
    token = shared_stack.account().token
    async with begun(url, token, "/v1/jobs/x/retry", "text/plain", {"Connection": "close"}) as (reader, _):
        assert b" 404 " in await reader.readline()  # it counts, though there is no such job
    async with asyncio.timeout(20), begun(url, token, path, kind, more | EXPECT) as (reader, _):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert head.startswith("http/1.1 429 ")  # not 100
        assert "\r\nretry-after: " in head
        assert "\r\nconnection: close\r\n" in head
        await reader.read()  # to its end


async def test_the_rate_of_an_end_user_whom_the_body_names_is_counted_behind_it(
    shared_stack: SharedStack, url: str
) -> None:
    token = shared_stack.stack.token(fresh("service").replace(" ", "-"), rights=list(Right))
    async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30) as client:

        async def submit(user: str) -> int:
            body = {"prompt": fresh(), "user": user, "response_format": "url"}
            return (await client.post("/v1/images/generations", json=body)).status_code

        async with asyncio.timeout(20):
            while (status := await submit("ann")) == 401:  # the gateway has not seen the token yet
                await asyncio.sleep(0.1)
        assert [status, await submit("ann"), await submit("bob")] == [200, 429, 200]
