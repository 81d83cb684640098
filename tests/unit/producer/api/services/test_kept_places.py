"""Answers of MCP with images: so many at a time, each until its response has left."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from producer.api.routes import mcp
from producer.api.routes.mcp import TokenCaller
from producer.api.services.waits import KeptPlaces, Waits


def a_caller(answers: Waits, kept: KeptPlaces) -> TokenCaller:
    gateway: Any = SimpleNamespace(tool_answers=answers)
    caller: Any = SimpleNamespace(owner="ann")
    return TokenCaller(gateway, caller, "", kept)


@pytest.fixture
def answers() -> Waits:
    return Waits(most=8, most_each=1)


async def test_a_place_is_kept_until_the_response_has_left(answers: Waits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp, "SHOW_S", 0.05)
    first, second = KeptPlaces(), KeptPlaces()
    assert await a_caller(answers, first).may_show()
    assert not await a_caller(answers, second).may_show()
    first.close()
    assert await a_caller(answers, second).may_show()


async def test_an_answer_waits_a_moment_for_its_place(answers: Waits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp, "SHOW_S", 20)
    first = KeptPlaces()
    assert await a_caller(answers, first).may_show()
    waiting = asyncio.create_task(a_caller(answers, KeptPlaces()).may_show())
    await asyncio.sleep(0)
    assert not waiting.done()
    first.close()
    assert await waiting


async def test_what_goes_on_after_its_response_takes_no_place(answers: Waits) -> None:
    kept = KeptPlaces()
    kept.close()
    with answers.join_if_possible("ann") as is_free:
        assert is_free
    assert not kept.keep(answers.join_if_possible("ann"))
    assert kept.keep(answers.join_if_possible("ann")) is False
    with answers.join_if_possible("ann") as is_free:
        assert is_free
