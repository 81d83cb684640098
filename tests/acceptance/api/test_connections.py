"""Connections that are held: those without a token harm nobody, and those of one owner no other owner."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AsyncExitStack, suppress

import httpx
import pytest

from producer.stack.ports import free_port
from tests.support.clients.held_connection import held
from tests.support.stack.stack import ROOT, Stack

pytestmark = pytest.mark.real_redis
SMALL = {"DARKROOM_MAX_CONNECTIONS": "64"}  # 16 of strangers, 8 of one address, 48 of owners, 21 of one owner
PART_OF_A_HEAD = b"GET /v1/jobs HTTP/1.1\r\nHost: local"


def begun(token: str, path: str = "/v1/jobs") -> bytes:
    """Write a request whose body does not come."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: 9\r\n\r\n".encode()


async def answer_of(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], dict[str, object]]:
    """Read an answer after which the connection is closed."""
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(first.split()[1]), headers, json.loads(body)


async def ask(url: str, path: str, token: str = "") -> int:
    """Ask something on a connection of its own."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as client:
        return (await client.get(path)).status_code


@pytest.mark.parametrize("said", [b"", PART_OF_A_HEAD])
async def test_connections_without_a_token_give_way_to_each_other_and_to_those_with_one(
    said: bytes, stack: Stack
) -> None:
    token = stack.token()
    url = await stack.start_gateway(**SMALL)
    async with AsyncExitStack() as lines:
        first, *others = [await lines.enter_async_context(held(url, said)) for _ in range(100)]
        async with asyncio.timeout(20):
            status, headers, problem = await answer_of(first)
        assert (status, problem["code"]) == (503, "too_busy")
        assert headers["content-type"] == "application/problem+json"
        assert int(headers["retry-after"]) > 0
        assert [await ask(url, path) for path in ("/livez", "/readyz")] == [200, 200]
        assert await ask(url, "/v1/jobs", token) == 200
        assert not others[-1].at_eof()


async def test_an_owner_has_so_many_connections_in_use_and_others_have_theirs(stack: Stack) -> None:
    ann, bob = stack.token("ann"), stack.token("bob")
    url = await stack.start_gateway(**SMALL)
    async with AsyncExitStack() as lines:
        async with asyncio.timeout(30):
            while await ask(url, "/v1/jobs", ann) != 429:
                await lines.enter_async_context(held(url, begun(ann)))
            ours = await answer_of(await lines.enter_async_context(held(url, begun(ann))))
            openais = await answer_of(await lines.enter_async_context(held(url, begun(ann, "/v1/images/generations"))))
        assert (ours[0], ours[1]["retry-after"], ours[2]["code"]) == (429, "2", "too_many_connections")
        assert ours[1]["content-type"] == "application/problem+json"
        assert (openais[0], openais[1]["retry-after"]) == (429, "2")
        assert "too_many_connections" in str(openais[2]["error"])
        assert [await ask(url, path) for path in ("/livez", "/readyz")] == [200, 200]
        assert await ask(url, "/v1/jobs", bob) == 200
    async with asyncio.timeout(20):
        while await ask(url, "/v1/jobs", ann) != 200:  # once it has seen that they have gone
            await asyncio.sleep(0.05)


async def test_the_longest_idle_connection_of_an_owner_gives_way(stack: Stack) -> None:
    token = stack.token()
    url = await stack.start_gateway(**SMALL)
    said = f"GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    async with AsyncExitStack() as lines, asyncio.timeout(20):
        readers = []
        for _ in range(30):
            readers.append(await lines.enter_async_context(held(url, said)))
            assert b" 200 " in await readers[-1].readline()
        assert (await readers[0].read()).endswith(b"}\n")  # its answer was whole, and nothing came after it
        assert not readers[-1].at_eof()


async def test_where_few_files_may_be_open_there_is_room_for_fewer_connections(stack: Stack) -> None:
    limited = ("sh", "-c", 'ulimit -n 320; exec "$0" "$@"')
    gateway = (sys.executable, "-m", "producer.api", stack.config)
    port = str(free_port())
    stack.start_command(*limited, *gateway, of="gateway", DARKROOM_PORT=port, PYTHONPATH=ROOT)
    await stack.says("gateway", "room for 32 connections, as only 320 files may be open")
    url = f"http://127.0.0.1:{port}"
    await stack.says("gateway", "Uvicorn running")
    async with AsyncExitStack() as lines:
        for _ in range(400):
            await lines.enter_async_context(held(url, b""))
        assert await ask(url, "/livez") == 200
    assert "Traceback" not in stack.logs("gateway")


async def test_of_many_requests_at_once_none_is_left_without_an_answer(stack: Stack) -> None:
    token = stack.token()
    url = await stack.start_gateway(**SMALL)
    said = f"GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"

    async def answer() -> bytes:
        with suppress(ConnectionResetError):  # it is one if it was turned away before it was heard
            async with held(url, said.encode()) as reader:
                return await reader.read()
        return b"HTTP/1.1 503"

    async with asyncio.timeout(60):
        answers = await asyncio.gather(*(answer() for _ in range(300)))
    assert {bytes(one[:12]) for one in answers} <= {b"HTTP/1.1 200", b"HTTP/1.1 429", b"HTTP/1.1 503"}
    assert b"HTTP/1.1 200" in {bytes(one[:12]) for one in answers}
