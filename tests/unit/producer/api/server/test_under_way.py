"""Requests of one token that are under way have a bound, unless the token speaks for many users."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from contract.errors.exceptions import DarkroomError
from producer.api.server import under_way
from producer.api.server.under_way import MOST_KNOWN, UnderWay
from producer.tokens import Right

MOST = 3


class Door:
    """An application whose answers are held back, and what its clients hear."""

    def __init__(self, *rights: Right) -> None:
        self.may_go_on = asyncio.Event()
        self.begun = 0
        self._caller = SimpleNamespace(may=lambda right: right in rights)
        self.under_way = UnderWay(self._app, most=MOST, refuse=self._refuse)

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.begun += 1
        scope["state"]["caller"] = self._caller
        await self.may_go_on.wait()
        await Response(status_code=200)(scope, receive, send)

    def _refuse(self, _: Request, error: DarkroomError) -> Response:
        return Response(error.code, error.kind.status)

    async def ask(self, token: bytes = b"Bearer a") -> int:
        statuses: list[int] = []

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        headers = [(b"host", b"x"), (b"authorization", token)] if token else []
        scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "headers": headers, "state": {}}
        await self.under_way(scope, receive, send)
        return statuses[0]

    async def crowd(self, many: int, token: bytes = b"Bearer a") -> list[int]:
        """Ask many times at once, after a first time, and let all go on when no more begin."""
        self.may_go_on.set()
        assert await self.ask(token) == 200
        self.may_go_on.clear()
        tasks = [asyncio.create_task(self.ask(token)) for _ in range(many)]
        for _ in range(10):
            await asyncio.sleep(0)
        self.may_go_on.set()
        return [*await asyncio.gather(*tasks)]


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_way, "DELAY_S", 0.0)


async def test_those_beyond_the_bound_are_refused_and_see_nothing_begin() -> None:
    door = Door(Right.READ)
    assert sorted(await door.crowd(8)) == [200] * MOST + [429] * 5
    assert door.begun == 1 + MOST
    assert not door.under_way._count
    assert await door.ask() == 200


@pytest.mark.parametrize(("rights", "token"), [([Right.USERS], b"Bearer a"), ([], b"")])
async def test_a_token_of_many_users_and_no_token_have_no_bound_here(rights: list[Right], token: bytes) -> None:
    door = Door(*rights)
    assert await door.crowd(8, token) == [200] * 8


async def test_a_token_is_the_same_however_its_header_is_spelt() -> None:
    door = Door(Right.READ)
    door.may_go_on.set()
    assert await door.ask(b"Bearer a") == 200
    door.may_go_on.clear()
    spelt = [b"Bearer a", b"bearer   a", b"BEARER a", b"Bearer  a", b"beareR a"]
    tasks = [asyncio.create_task(door.ask(token)) for token in spelt]
    for _ in range(10):
        await asyncio.sleep(0)
    door.may_go_on.set()
    assert sorted(await asyncio.gather(*tasks)) == [200] * MOST + [429] * 2


async def test_so_many_tokens_are_remembered_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_way, "MOST_KNOWN", 5)
    assert MOST_KNOWN == 10_000
    door = Door(Right.READ)
    door.may_go_on.set()
    for number in range(9):
        await door.ask(b"Bearer %d" % number)
    assert len(door.under_way._of_one_user) == 5
