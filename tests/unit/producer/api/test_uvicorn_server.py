"""How long the server bears with clients that are slow to speak or to read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from producer.api.server import uvicorn_server
from producer.api.server.connection_limits import ConnectionLimits
from producer.api.server.uvicorn_server import TimeLimitedProtocol

LIMIT_S = 0.3
HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
BIG = 16 * 2**20  # more than the kernel keeps for a connection


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer at length, in pieces."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % BIG)]})
    for _ in range(BIG // 2**16):
        await send({"type": "http.response.body", "body": bytes(2**16), "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """A server in a hurry."""
    monkeypatch.setattr(uvicorn_server, "HEADERS_S", LIMIT_S)
    monkeypatch.setattr(uvicorn_server, "STALLED_S", LIMIT_S)
    protocol: Any = partial(TimeLimitedProtocol, limits=ConnectionLimits(100))
    config = uvicorn.Config(app, port=0, http=protocol, ws="none", lifespan="off", log_config=None)
    running = uvicorn.Server(config)
    task = asyncio.create_task(running.serve())
    while not running.started:
        await asyncio.sleep(0.01)
    yield int(running.servers[0].sockets[0].getsockname()[1])
    running.force_exit = running.should_exit = True
    await task


@pytest.mark.parametrize("greeting", [b"", HEAD])
async def test_a_head_must_be_whole_in_time_also_that_of_a_second_request(port: int, greeting: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(greeting)
    if greeting:
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(BIG)
    began = time.monotonic()
    writer.write(HEAD[:5])
    with suppress(ConnectionResetError):
        assert await reader.read(1) == b""
    assert time.monotonic() - began < 3 * LIMIT_S
    writer.close()


@pytest.mark.parametrize(("pause_s", "is_served"), [(LIMIT_S / 10, True), (10 * LIMIT_S, False)])
async def test_whoever_takes_nothing_for_long_is_cut_off(port: int, pause_s: float, is_served: bool) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4096)
    writer.write(HEAD)
    await reader.readuntil(b"\r\n\r\n")
    received = 0
    with suppress(ConnectionResetError):
        while received < BIG:
            await asyncio.sleep(pause_s if received == 0 else 0)
            received += len(piece := await reader.read(2**20))
            if not piece:
                break
    assert (received == BIG) == is_served
    writer.close()


def protocols_of(limits: ConnectionLimits, written: list[bytes], *heads: bytes) -> list[TimeLimitedProtocol]:
    """Open a connection for each head, and let it be said."""
    config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None)
    protocols = []
    for head in heads:
        transport = Mock(asyncio.Transport)
        transport.is_closing.return_value = False
        transport.get_write_buffer_size.return_value = 0
        transport.write.side_effect = written.append
        protocols.append(TimeLimitedProtocol(config=config, server_state=ServerState(), app_state={}, limits=limits))
        protocols[-1].connection_made(transport)
        protocols[-1].data_received(head)
    return protocols


def lose(protocols: list[TimeLimitedProtocol]) -> None:
    for protocol in protocols:
        protocol.connection_lost(None)
        for task in protocol.tasks:
            task.cancel()


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
async def test_a_request_counts_from_when_its_head_is_there_and_is_answered_when_it_gives_way(method: bytes) -> None:
    written: list[bytes] = []
    head = HEAD.replace(b"GET", method)
    protocols = protocols_of(ConnectionLimits(8), written, head, head)  # one of an address
    assert written[0].startswith(b"HTTP/1.1 503 ")
    assert (b'"too_busy"' in b"".join(written)) is (method == b"GET")
    assert protocols[0].cycle.disconnected
    lose(protocols)


async def test_a_token_of_many_users_is_not_taken_for_one_of_them() -> None:
    limits = ConnectionLimits(64)
    head = HEAD.replace(b"Host: a\r\n", b"Host: a\r\nAuthorization: bearer  good\r\n")
    [protocol] = protocols_of(limits, [], head)
    protocol.app_state["vouch"]("app/alice", is_alone=False)
    assert limits.owner_of(b"good") is None
    protocol.app_state["vouch"]("ann", is_alone=True)
    assert limits.owner_of(b"good") == "ann"
    lose([protocol])
