"""Refusals in a row wait, and nothing else does."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from producer.api.server.refusal_delay import AT_ONCE, MOST_KNOWN, MOST_S, PER_S, RefusalDelay, RefusalRates


def test_the_first_refusals_are_answered_at_once_and_further_ones_at_a_rate() -> None:
    rates = RefusalRates()
    assert [rates.delay_s("ann", 1000.0) for _ in range(AT_ONCE)] == pytest.approx([0.0] * AT_ONCE)
    assert [rates.delay_s("ann", 1000.0) for _ in range(3)] == pytest.approx([1 / PER_S, 2 / PER_S, 3 / PER_S])
    assert rates.delay_s("bob", 1000.0) == 0.0
    assert [rates.delay_s("ann", 1000.0) for _ in range(100)][-1] == pytest.approx(MOST_S)
    assert rates.delay_s("ann", 1002.0) == 0.0
    assert rates.delay_s("ann", 1010.0) == 0.0


def test_so_many_names_are_remembered_at_most() -> None:
    rates = RefusalRates()
    for number in range(MOST_KNOWN + 5):
        rates.delay_s(str(number), 0.0)
    assert len(rates._paid_until) == MOST_KNOWN


@pytest.mark.parametrize(
    ("status", "is_delayed"),
    [(200, False), (404, False), (409, False), (503, False), (400, True), (401, True), (422, True), (429, True)],
)
async def test_only_refusals_wait(status: int, is_delayed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["caller"] = SimpleNamespace(token=SimpleNamespace(name="ann"), owner="ann")
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"x"})

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return await asyncio.Event().wait()  # type: ignore[return-value]

    delayed, scope = RefusalDelay(app), dict[str, Any](type="http", state={})
    for _ in range(AT_ONCE + 1):
        await delayed(scope, receive, send)
    assert any(seconds > 0 for seconds in slept) is is_delayed
    assert len(sent) == 2 * (AT_ONCE + 1)
