"""Who does not take an answer holds nothing up, and is no error of ours."""

from __future__ import annotations

import asyncio

import pytest
from fastapi import FastAPI
from starlette.responses import PlainTextResponse
from starlette.types import Message

from producer.api import guard, problem
from producer.api.guard import Guard


async def test_a_client_that_does_not_read_is_given_up_in_silence(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(guard, "SEND_S", 0.01)
    app = FastAPI()
    app.add_api_route("/", lambda: PlainTextResponse("a fox"))
    problem.register(app)
    sent: list[str] = []

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message["type"])
        await asyncio.Event().wait()

    headers = [(b"host", b"localhost")]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers, "app": app}
    async with asyncio.timeout(5):
        await Guard(app, hosts=["localhost"], origins=[])(scope, receive, send)
    assert (sent, caplog.records) == (["http.response.start"], [])
