"""An owner's requests take turns, and no turn is kept."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from contract.errors.exceptions import Refused
from producer.api.services import owner_turns
from producer.api.services.cancel_on_disconnect import while_present
from producer.api.services.owner_turns import ALONE_AT_ONCE, AT_ONCE, MOST_IN_LINE, EndOfTurns, OwnerTurns


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no turn end by itself within a test."""
    monkeypatch.setattr(owner_turns, "LONG_S", 60.0)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_so_many_are_worked_on_and_the_others_come_in_order() -> None:
    turns, order = OwnerTurns(), list[int]()
    had = [await turns.take("ann") for _ in range(AT_ONCE)]

    async def come(number: int) -> None:
        had.append(await turns.take("ann"))
        order.append(number)

    tasks = [asyncio.create_task(come(number)) for number in range(3)]
    await settle()
    assert order == []
    (await turns.take("bob")).end()
    for number in range(3):
        had[number].end()
        had[number].end()
        await settle()
        assert order == [*range(number + 1)]
    await asyncio.gather(*tasks)
    for turn in had:
        turn.end()
    assert turns._lines == {}


async def test_who_is_alone_has_more_turns_until_another_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = OwnerTurns()
    had = [await turns.take("ann") for _ in range(AT_ONCE)]
    waiting = [asyncio.create_task(turns.take("ann")) for _ in range(2 * ALONE_AT_ONCE)]
    await settle()
    monkeypatch.setattr(owner_turns, "ALONE_S", -1.0)
    newest = asyncio.create_task(turns.take("ann"))
    await settle()
    assert not newest.done()  # others were in line before it
    had[0].end()
    await settle()
    assert [task.done() for task in waiting].count(True) == ALONE_AT_ONCE - AT_ONCE + 1
    assert waiting[0].done()
    bobs = await turns.take("bob")
    had[1].end()
    for task in waiting[: ALONE_AT_ONCE - 3]:
        task.result().end()
    await settle()
    assert [task.done() for task in waiting].count(True) == ALONE_AT_ONCE - AT_ONCE + 1  # two of them are at work
    bobs.end()
    for task in [*waiting, newest]:
        (await task).end()
    assert turns._lines == {}


async def test_who_goes_away_in_line_holds_up_nobody() -> None:
    turns = OwnerTurns()
    had = [await turns.take("ann") for _ in range(AT_ONCE)]
    first, second = (asyncio.create_task(turns.take("ann")) for _ in range(2))
    await settle()
    first.cancel()
    await settle()
    had[0].end()
    (await second).end()
    third = asyncio.create_task(turns.take("ann"))
    await third
    for turn in [*had[1:], third.result()]:
        turn.end()
    assert turns._lines == {}


async def test_who_goes_away_as_its_turn_comes_passes_it_on() -> None:
    turns = OwnerTurns()
    had = [await turns.take("ann") for _ in range(AT_ONCE)]
    first, second = (asyncio.create_task(turns.take("ann")) for _ in range(2))
    await settle()
    had[0].end()
    first.cancel()
    (await second).end()
    for turn in had[1:]:
        turn.end()
    assert turns._lines == {}


async def test_the_line_has_an_end() -> None:
    turns = OwnerTurns()
    for _ in range(AT_ONCE):
        await turns.take("ann")
    waiting = [asyncio.create_task(turns.take("ann")) for _ in range(MOST_IN_LINE)]
    await settle()
    with pytest.raises(Refused) as refused:
        await turns.take("ann")
    assert (refused.value.code, refused.value.values["retry_after_s"]) == ("too_many_at_once", 1)
    for task in waiting:
        task.cancel()


async def test_a_turn_that_lasts_long_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner_turns, "LONG_S", 0.01)
    turns = OwnerTurns()
    async with asyncio.timeout(5):
        had = [await turns.take("ann") for _ in range(3 * AT_ONCE)]
        while turns._lines:
            await asyncio.sleep(0.005)
    assert len(had) == 3 * AT_ONCE


async def test_who_waits_for_a_job_has_no_turn() -> None:
    turns = OwnerTurns()
    scope = dict[str, Any](type="http", state={"turn": await turns.take("ann")})
    ended = asyncio.Event()

    async def receive() -> Message:
        return await asyncio.Event().wait()  # type: ignore[return-value]

    waiting = asyncio.create_task(while_present(Request(scope, receive), ended.wait()))
    await settle()
    assert turns._lines == {}
    ended.set()
    assert await waiting


@pytest.mark.parametrize("fails", [False, True])
async def test_a_turn_ends_as_the_answer_begins_or_without_one(fails: bool) -> None:
    turns, at_work = OwnerTurns(), list[int]()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["turn"] = await turns.take("ann")
        if fails:
            raise ConnectionError
        await send({"type": "http.response.start", "status": 200, "headers": []})
        at_work.append(len(turns._lines))

    async def send(_: Message) -> None:
        at_work.append(len(turns._lines))

    async def receive() -> Message:
        raise AssertionError

    try:
        await EndOfTurns(app)(dict[str, Any](type="http", state={}), receive, send)
    except ConnectionError:
        at_work.append(len(turns._lines))
    assert set(at_work) == {0}
