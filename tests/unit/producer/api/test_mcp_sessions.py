"""Whose a session is, how many there may be, and that none outlives the gateway."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from mcp.server.lowlevel import Server
from starlette.types import Message

from producer.api.services import mcp_sessions
from producer.api.services.mcp_sessions import Sessions

HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}},
}


def sessions(closing: asyncio.Event | None = None, *, most: int = 2) -> Sessions:
    return Sessions(Server("test"), closing or asyncio.Event(), most_of_owner=most)


async def ask(
    served: Sessions, owner: str, method: str = "POST", named: str = "", *, holds: asyncio.Event | None = None
) -> list[Message]:
    """Ask for something as the route does; answer what is sent, whose end a client may hold up."""
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    headers |= {"mcp-session-id": named} if named else {}
    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "path": "/mcp",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    given: list[Message] = [{"type": "http.request", "body": json.dumps(HELLO).encode(), "more_body": False}]
    sent: list[Message] = []

    async def receive() -> Message:
        if given:
            return given.pop()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)
        if holds and message["type"] == "http.response.body":
            await holds.wait()

    if named:
        await served.handle(served.find(named, owner), scope, receive, send)
    else:
        assert await served.begin(owner, scope, receive, send) is bool(sent)
    return sent


async def opened(served: Sessions, owner: str) -> str:
    """Open a session; answer its id, or nothing if there may be no more."""
    sent = await ask(served, owner)
    return dict(sent[0]["headers"])[b"mcp-session-id"].decode() if sent else ""


async def test_a_session_is_found_by_its_owner_until_it_ends() -> None:
    served = sessions()
    async with served.open():
        name = await opened(served, "ann")
        assert served.find(name, "ann")
        assert served.find(name, "bob") is None
        assert (await ask(served, "ann", "DELETE", name))[0]["status"] == 200
        assert served.find(name, "ann") is None


async def test_the_longest_idle_one_gives_way_and_those_in_use_do_not() -> None:
    served = sessions()
    async with served.open():
        first, second, others = [await opened(served, owner) for owner in ("ann", "ann", "bob")]
        used = served.find(first, "ann")
        assert used
        used.busy = 1
        third = await opened(served, "ann")
        found = [served.find(name, owner) is not None for name, owner in ((first, "ann"), (second, "ann"))]
        assert found == [True, False]
        assert served.find(others, "bob")
        last = served.find(third, "ann")
        assert last
        last.busy = 1
        assert await opened(served, "ann") == ""
        assert await opened(served, "bob")


async def test_one_whose_first_answer_is_still_on_its_way_counts_once() -> None:
    served, holds = sessions(), asyncio.Event()
    async with served.open(), asyncio.timeout(5):
        opening = asyncio.create_task(ask(served, "ann", holds=holds))
        while not (named := [name for name in served._known if not name.startswith(" ")]):
            await asyncio.sleep(0)
        second = await opened(served, "ann")
        assert [served.find(name, "ann") is not None for name in (*named, second)] == [True, True]
        holds.set()
        await opening
        assert [served.find(name, "ann") is not None for name in (*named, second)] == [True, True]


async def test_of_many_that_come_at_once_no_more_are_let_in() -> None:
    served = sessions()
    async with served.open():
        names = await asyncio.gather(*(opened(served, "ann") for _ in range(20)))
        assert sum(served.find(name, "ann") is not None for name in names if name) == 2


async def test_an_idle_one_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    served = sessions()
    async with served.open():
        name = await opened(served, "ann")
        monkeypatch.setattr(mcp_sessions, "IDLE_S", -1.0)
        assert served.find(name, "ann") is None


async def test_a_stream_that_is_open_ends_when_the_gateway_stops() -> None:
    closing = asyncio.Event()
    served = sessions(closing)
    async with served.open(), asyncio.timeout(2):
        name = await opened(served, "ann")
        listening = asyncio.create_task(ask(served, "ann", "GET", name))
        while not (session := served.find(name, "ann")) or not session.busy:
            await asyncio.sleep(0)
        closing.set()
        sent = await listening
    assert (sent[0]["status"], sent[-1]["more_body"]) == (200, False)
