"""The budget of bytes in flight: never more than there is, nobody waits for ever, first come is first served."""

import asyncio
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.memory.budget import Budget, Share

MOST, LARGEST, STEP = 100, 40, 5


class Watched(Budget):
    """Remembers how much was held at most, and in which order shares first got something."""

    def __init__(self, most: int = MOST, *, largest: int = LARGEST) -> None:
        super().__init__(most, largest=largest)
        self.peak = 0
        self.served: list[Share] = []

    def _give(self, share: Share, size: int, *, may_grow: bool) -> None:
        if not share.held:
            self.served.append(share)
        super()._give(share, size, may_grow=may_grow)
        self.peak = max(self.peak, self.held)


@dataclass(frozen=True)
class Body:
    """One answer: when it comes, how long it is and what is kept of it, and when nobody wants it any more."""

    comes: int
    size: int
    is_long_known: bool
    kept: int
    stays: int
    dropped_after: int | None

    async def read(self, budget: Budget) -> None:
        """Take what is needed, keep a part for a while, and let go."""
        await turns(self.comes)
        with budget.share() as share:
            for size in [self.size] if self.is_long_known else range(STEP, self.size + STEP, STEP):
                await take(share, min(size, LARGEST), may_grow=not self.is_long_known)
                await turns(1)
            share.keep(min(self.kept, self.size))
            await turns(self.stays)


async def take(share: Share, size: int, *, may_grow: bool = False) -> None:
    if not share.take(size, may_grow=may_grow):
        await share.hold(size, may_grow=may_grow)


async def turns(times: int) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


async def done(tasks: list[asyncio.Task[None]]) -> None:
    """Wait until they have ended; they need a few turns of the event loop each."""
    for _ in range(100 * len(tasks)):
        if all(task.done() for task in tasks):
            return
        await turns(1)
    for task in tasks:
        task.cancel()
    pytest.fail("they wait for each other")


BODIES = st.lists(
    st.builds(
        Body,
        comes=st.integers(0, 9),
        size=st.integers(1, LARGEST),
        is_long_known=st.booleans(),
        kept=st.integers(0, LARGEST),
        stays=st.integers(0, 9),
        dropped_after=st.none() | st.integers(0, 30),
    ),
    min_size=1,
    max_size=25,
)


async def all_read(budget: Budget, bodies: list[Body]) -> None:
    """Read them all, drop those that nobody wants any more, and wait for the rest."""
    tasks = [asyncio.create_task(body.read(budget)) for body in bodies]

    async def drop(task: asyncio.Task[None], after: int) -> None:
        await turns(after)
        task.cancel()

    drops = [
        drop(task, body.dropped_after)
        for task, body in zip(tasks, bodies, strict=True)
        if body.dropped_after is not None
    ]
    await asyncio.gather(*drops)
    await done(tasks)
    assert [task for task in tasks if not task.cancelled() and task.exception()] == []


@given(BODIES)
def test_whatever_comes_no_more_is_held_than_there_is_and_all_come_to_their_end(bodies: list[Body]) -> None:
    async def run() -> None:
        budget = Watched()
        await all_read(budget, bodies)
        assert budget.peak <= MOST
        assert budget.held == 0
        assert budget.share().take(MOST)  # nobody is left in the line

    asyncio.run(run())


@given(BODIES, st.integers(1, LARGEST))
def test_a_budget_that_is_too_small_for_one_body_still_lets_one_after_the_other_through(
    bodies: list[Body], most: int
) -> None:
    async def run() -> None:
        budget = Watched(most)
        await all_read(budget, bodies)
        assert budget.peak <= LARGEST + most
        assert budget.held == 0

    asyncio.run(run())


@given(st.lists(st.lists(st.integers(1, LARGEST), min_size=1, max_size=4), min_size=1, max_size=12))
def test_calls_that_keep_pictures_and_fetch_more_do_not_wait_for_each_other(calls: list[list[int]]) -> None:
    async def fetch(budget: Budget, sizes: list[int]) -> None:
        with budget.share() as share:
            for size in sizes:
                await take(share, share.held + size)
                await turns(1)

    async def run() -> None:
        budget = Watched()
        await done([asyncio.create_task(fetch(budget, sizes)) for sizes in calls])
        assert budget.held == 0

    asyncio.run(run())


@given(st.lists(st.integers(1, LARGEST), min_size=2, max_size=20))
def test_who_comes_first_is_served_first(sizes: list[int]) -> None:
    async def run() -> None:
        budget = Watched()
        shares = [budget.share() for _ in sizes]

        async def use(share: Share, size: int) -> None:
            with share:
                await take(share, size)
                await turns(3)

        await asyncio.gather(*map(use, shares, sizes))
        assert budget.served == shares

    asyncio.run(run())


async def test_the_oldest_that_grows_goes_before_those_that_wait_at_the_front() -> None:
    budget = Watched()
    with budget.share() as first, budget.share() as second, budget.share() as third:
        assert first.take(STEP, may_grow=True)
        assert second.take(MOST - LARGEST)
        assert not third.take(STEP)  # it is kept free for the first
        waiting = asyncio.create_task(third.hold(STEP))
        await turns(1)
        assert not first.take(LARGEST, may_grow=True)  # nobody goes before those that wait, unless he asks for it
        async with asyncio.timeout(5):
            await first.hold(LARGEST, may_grow=True)
        assert not waiting.done()
        first.keep(STEP)
        async with asyncio.timeout(5):
            await waiting


async def test_a_wait_that_is_cancelled_lets_those_behind_it_go_on() -> None:
    budget = Watched()
    with budget.share() as holding, budget.share() as large, budget.share() as small:
        assert holding.take(MOST - STEP)
        waiting = [asyncio.create_task(large.hold(LARGEST)), asyncio.create_task(small.hold(STEP))]
        await turns(1)
        waiting[0].cancel()
        async with asyncio.timeout(5):
            await waiting[1]
        assert (large.held, small.held) == (0, STEP)


async def test_what_was_given_in_the_moment_of_a_cancel_is_given_back() -> None:
    budget = Watched()

    async def use(share: Share) -> None:
        with share:
            await share.hold(MOST)

    with budget.share() as holding:
        assert holding.take(MOST)
        waiting = asyncio.create_task(use(budget.share()))
        await turns(1)
        holding.release()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert waiting.cancelled()
        assert budget.held == 0


@pytest.mark.parametrize("part", [0, 10, 30, 50])
def test_a_part_that_is_split_off_is_held_until_it_is_released(part: int) -> None:
    budget = Watched()
    with budget.share() as share:
        assert share.take(30)
        other = share.split(part)
        assert (share.held, other.held) == (30 - min(part, 30), min(part, 30))
    assert budget.held == other.held
    other.release()
    assert budget.held == 0
