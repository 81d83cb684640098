"""Bodies that arrive slowly, or never: one owner's take no room that others need."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from producer.api.services.body_budget import MOST_EACH
from tests.support.clients.held_connection import held
from tests.support.factories.images import picture
from tests.support.stack.shared_stack import SharedStack

pytestmark = [pytest.mark.real_redis, pytest.mark.asyncio(loop_scope="module")]
LENGTH = 32 * 2**20


def unfinished(url: str, token: str, *, begin: bytes = b"") -> AbstractAsyncContextManager[asyncio.StreamReader]:
    """Begin an upload, and leave it at that."""
    head = (
        f"POST /v1/uploads HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: image/png\r\nContent-Length: {LENGTH}\r\n\r\n"
    )
    return held(url, head.encode() + b"\x89PNG" + begin)


async def test_bodies_lie_in_files_without_names(shared_stack: SharedStack) -> None:
    (_, ann), stack = shared_stack.account(), shared_stack.stack
    spool = stack.settings().home / "spool"
    opened = Path(f"/proc/{stack.gateway_at(shared_stack.url).pid}/fd")

    def lies_there(file: Path) -> bool:
        with suppress(OSError):  # it is closed already
            return str(file.readlink()).startswith(f"{spool}/")
        return False

    async with unfinished(shared_stack.url, ann, begin=bytes(2**20)):
        async with asyncio.timeout(10):
            while not any(map(lies_there, opened.iterdir())):
                await asyncio.sleep(0.05)
        assert list(spool.iterdir()) == []  # a killed gateway leaves nothing


async def upload(url: str, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "image/png"}
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        return (await client.post("/v1/uploads", content=picture(), headers=headers)).status_code


async def test_an_owner_has_so_many_bytes_arriving_at_most(shared_stack: SharedStack) -> None:
    (_, ann), (_, bob) = shared_stack.account(), shared_stack.account()
    async with AsyncExitStack() as bodies:
        for _ in range(MOST_EACH // LENGTH):
            await bodies.enter_async_context(unfinished(shared_stack.url, ann))
        async with asyncio.timeout(10):
            while await upload(shared_stack.url, ann) != 429:  # they have been seen to begin
                await asyncio.sleep(0.05)
            one_more = await bodies.enter_async_context(unfinished(shared_stack.url, ann))
            told = (await one_more.readuntil(b"\r\n\r\n")).decode()
        assert told.startswith("HTTP/1.1 429 ")
        assert "retry-after: 5" in told.lower()
        assert await upload(shared_stack.url, bob) == 201
    async with asyncio.timeout(10):
        while await upload(shared_stack.url, ann) != 201:  # once the gateway has seen that they broke off
            await asyncio.sleep(0.05)
