"""Whose a session is, how many there may be, and that none outlives the gateway."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis, FakeServer
from mcp.server.lowlevel import Server
from redis.asyncio import Redis
from starlette.types import Message

from producer.api.sessions import sessions as module
from producer.api.sessions.cancellations import Cancellations
from producer.api.sessions.records import SessionRecords
from producer.api.sessions.sessions import Sessions
from producer.client.subscriber import JobSubscriber
from tests.conftest import new_fake_redis

HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}},
}


def sessions(closing: asyncio.Event | None = None, *, most: int = 2, redis: Redis | None = None) -> Sessions:
    """Make the sessions of a gateway, with a Redis of its own or one that it shares."""
    redis = redis or new_fake_redis()
    records, cancellations = SessionRecords(redis, most_of_owner=most), Cancellations(redis, JobSubscriber(redis))
    return Sessions(Server("test"), closing or asyncio.Event(), records, cancellations)


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
        await served.handle(await served.find(named, owner), scope, receive, send)
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
        assert await served.find(name, "ann")
        assert await served.find(name, "bob") is None
        assert (await ask(served, "ann", "DELETE", name))[0]["status"] == 200
        assert await served.find(name, "ann") is None


async def test_the_longest_idle_one_gives_way_and_those_in_use_do_not() -> None:
    served = sessions()
    async with served.open():
        first, second, others = [await opened(served, owner) for owner in ("ann", "ann", "bob")]
        used = await served.find(first, "ann")
        assert used
        used.busy = 1
        third = await opened(served, "ann")
        found = [await served.find(name, owner) is not None for name, owner in ((first, "ann"), (second, "ann"))]
        assert found == [True, False]
        assert await served.find(others, "bob")
        last = await served.find(third, "ann")
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
        assert [await served.find(name, "ann") is not None for name in (*named, second)] == [True, True]
        holds.set()
        await opening
        assert [await served.find(name, "ann") is not None for name in (*named, second)] == [True, True]


async def test_of_many_that_come_at_once_no_more_are_let_in() -> None:
    served = sessions()
    async with served.open():
        names = await asyncio.gather(*(opened(served, "ann") for _ in range(20)))
        assert len([name for name in names if name and await served.find(name, "ann")]) == 2


async def test_an_idle_one_is_forgotten(monkeypatch: pytest.MonkeyPatch, fake_redis: Redis) -> None:
    served = sessions(redis=fake_redis)
    async with served.open():
        name = await opened(served, "ann")
        monkeypatch.setattr(module, "IDLE_S", -1.0)
        assert await served.find(name, "ann"), "it may have been used at another gateway"
        await fake_redis.flushall()  # as its time is over there, too
        assert await served.find(name, "ann") is None


async def test_a_stream_that_is_open_ends_when_the_gateway_stops() -> None:
    closing = asyncio.Event()
    served = sessions(closing)
    async with served.open(), asyncio.timeout(2):
        name = await opened(served, "ann")
        listening = asyncio.create_task(ask(served, "ann", "GET", name))
        while not (session := await served.find(name, "ann")) or not session.busy:
            await asyncio.sleep(0)
        closing.set()
        sent = await listening
    assert (sent[0]["status"], sent[-1]["more_body"]) == (200, False)


async def test_another_gateway_opens_a_copy_for_the_owner_alone(fake_redis: Redis) -> None:
    one, other = sessions(redis=fake_redis), sessions(redis=fake_redis)
    async with one.open(), other.open():
        name = await opened(one, "ann")
        assert await other.find(name, "bob") is None
        first, second = await asyncio.gather(other.find(name, "ann"), other.find(name, "ann"))
        assert first is second
        assert (await ask(other, "ann", "DELETE", name))[0]["status"] == 200
        assert await other.find(name, "ann") is None
        await one.tell()
        assert await one.find(name, "ann") is None


async def test_an_answer_names_a_copy_as_its_client_does(fake_redis: Redis) -> None:
    one, other = sessions(redis=fake_redis), sessions(redis=fake_redis)
    async with one.open(), other.open():
        name = await opened(one, "ann")
        sent = await ask(other, "ann", "POST", name)
        assert (sent[0]["status"], dict(sent[0]["headers"])[b"mcp-session-id"].decode()) == (200, name)


async def test_an_owner_has_so_many_at_all_gateways_together(fake_redis: Redis) -> None:
    one, other = sessions(redis=fake_redis), sessions(redis=fake_redis)
    async with one.open(), other.open():
        first = await opened(one, "ann")
        second, third = await opened(other, "ann"), await opened(other, "ann")
        await one.tell()
        found = [bool(await one.find(name, "ann")) for name in (first, second, third)]
        assert found == [False, True, True]


async def test_one_in_use_elsewhere_does_not_give_way(fake_redis: Redis) -> None:
    one, other = sessions(redis=fake_redis), sessions(redis=fake_redis)
    async with one.open(), other.open():
        first = await one.find(await opened(one, "ann"), "ann")
        assert first
        first.busy = 1
        await one.tell()
        second, third = await opened(other, "ann"), await opened(other, "ann")
        found = [bool(await other.find(name, "ann")) for name in (first.id, second, third)]
        assert found == [True, False, True]


async def test_one_that_was_opened_while_redis_was_away_is_known_later() -> None:
    server = FakeServer()
    one, other = (sessions(redis=FakeAsyncRedis(server=server, decode_responses=True)) for _ in range(2))
    async with one.open(), other.open():
        server.connected = False
        name = await opened(one, "ann")
        assert await one.find(name, "ann")
        server.connected = True
        assert await other.find(name, "ann") is None
        await one.tell()
        assert await other.find(name, "ann")
