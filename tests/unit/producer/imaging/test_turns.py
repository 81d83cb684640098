"""Who waits for the sandbox gets a turn, however many images others send."""

from __future__ import annotations

import asyncio

import pytest

from contract.errors.exceptions import Refused
from contract.store.keys import digest
from producer.imaging import turns as module
from producer.imaging.turns import Asker, Turns


class Queue:
    """Takes turns that are given back one after the other, and notes whose they were."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.order: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def occupy(self) -> asyncio.Event:
        """Take the only place until the event is set."""
        is_over, is_taken = asyncio.Event(), asyncio.Event()

        async def stay() -> None:
            async with self.turns.take(Asker("occupant")):
                is_taken.set()
                await is_over.wait()

        self.tasks.append(asyncio.create_task(stay()))
        await is_taken.wait()
        return is_over

    async def ask(self, *owners: str, is_urgent: bool = False, is_gone: bool = False) -> None:
        """Let owners ask for a turn, in this order."""

        async def gone() -> bool:
            return is_gone

        async def once(owner: str) -> None:
            async with self.turns.take(Asker(owner, gone), is_urgent=is_urgent):
                self.order.append(owner)
                await asyncio.sleep(0)

        self.tasks += [asyncio.create_task(once(owner)) for owner in owners]
        await asyncio.sleep(0)

    async def ended(self) -> list[str | None]:
        """Wait for the end of all; answer the codes of those that were refused."""
        async with asyncio.timeout(5):
            results = await asyncio.gather(*self.tasks, return_exceptions=True)
        return [error.code if isinstance(error, Refused) else repr(error) if error else None for error in results]


@pytest.fixture
def queue() -> Queue:
    return Queue(Turns())


async def test_owners_take_turns(queue: Queue) -> None:
    is_over = await queue.occupy()
    await queue.ask(*["ann"] * 5, "bob", "carl", "bob")
    is_over.set()
    assert not any(await queue.ended())
    assert queue.order == ["ann", "bob", "carl", "ann", "bob", "ann", "ann", "ann"]


async def test_small_copies_go_first_but_not_for_ever(queue: Queue) -> None:
    is_over = await queue.occupy()
    await queue.ask("upload", "upload")
    await queue.ask(*["copy"] * 5, is_urgent=True)
    is_over.set()
    assert not any(await queue.ended())
    assert queue.order == ["copy", "copy", "copy", "upload", "copy", "copy", "upload"]


async def test_clients_that_have_gone_lose_their_turns(queue: Queue) -> None:
    is_over = await queue.occupy()
    await queue.ask(*["ann"] * 20, is_gone=True)
    await queue.ask("bob")
    is_over.set()
    assert await queue.ended() == [None] + ["too_busy"] * 20 + [None]
    assert queue.order == ["bob"]


async def test_an_owner_has_so_many_waiting_at_most_and_others_are_let_in(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_EACH", 3)
    is_over = await queue.occupy()
    await queue.ask(*["ann"] * 5, "bob")
    is_over.set()
    assert await queue.ended() == [None] * 4 + ["too_many_images_waiting"] * 2 + [None]
    assert sorted(queue.order) == ["ann", "ann", "ann", "bob"]


async def test_there_are_so_many_waiting_in_all(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    is_over = await queue.occupy()
    await queue.ask("ann", "bob", "carl")
    is_over.set()
    assert await queue.ended() == [None, None, None, "too_busy"]


async def test_a_wait_has_an_end() -> None:
    queue = Queue(Turns(wait_s=0.01))
    is_over = await queue.occupy()
    await queue.ask("ann")
    with pytest.raises(Refused, match="too much to do"):
        await queue.tasks[-1]
    is_over.set()
    await queue.ask("bob")
    assert await queue.ended() == [None, "too_busy", None]
    assert queue.order == ["bob"]


async def test_one_that_is_cancelled_while_it_waits_or_as_its_turn_comes_takes_no_turn(queue: Queue) -> None:
    is_over = await queue.occupy()
    await queue.ask("waits", "comes", "bob")
    _, waits, comes, _ = queue.tasks
    waits.cancel()
    is_over.set()
    await queue.tasks[0]
    comes.cancel()
    ended = await queue.ended()
    assert [bool(error) for error in ended] == [False, True, True, False]
    assert queue.order[-1] == "bob"
    async with asyncio.timeout(1), queue.turns.take(Asker("next")):
        pass


async def test_several_places_are_given_at_once() -> None:
    turns = Turns(2)
    async with asyncio.timeout(1), turns.take(Asker("ann")), turns.take(Asker("ann")):
        pass


def test_a_turn_is_the_owners_whether_it_is_named_or_known_by_its_digest() -> None:
    assert Asker(owner_digest=digest("ann")).turn == Asker("ann").turn != Asker("bob").turn
