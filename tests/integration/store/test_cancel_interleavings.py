"""A job is cancelled between any two scripts of all who work on it, a thousand times: it stays cancelled."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from random import Random
from typing import Any

import pytest

from contract.jobs.job import ACTIVE, JobState, Outcome
from contract.store.lease import CallRefused, Lease, LeaseLost
from tests.support.factories.jobs import COUNT, attempt, image, new_job
from tests.support.model.invariants import check_story
from tests.support.model.table import JobTable, Look
from tests.support.stack.redis_server import RealRedis

pytestmark = [pytest.mark.real_redis, pytest.mark.timeout(300)]

ROUNDS = 1_000
JOB = "job-0"
LEASE_S = 15


class Turns:
    """One script at a time: when nobody is at work, dice say who is next."""

    def __init__(self, dice: Random, actors: int) -> None:
        self._dice = dice
        self._busy = actors
        self._waiting: list[asyncio.Future[None]] = []

    async def take(self) -> None:
        """Wait for the next turn."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self.rest()
        await turn

    def rest(self) -> None:
        """Say that an actor waits, or has gone."""
        self._busy -= 1
        if not self._busy and self._waiting:
            self._busy = 1
            self._waiting.pop(self._dice.randrange(len(self._waiting))).set_result(None)


class Round:
    """One job, two workers that may crash and come back as zombies, a sweeper, and somebody who cancels."""

    def __init__(self, table: JobTable, seed: int) -> None:
        self.table, self.store, self.dice = table, table.store, Random(seed)
        self.turns = Turns(self.dice, 4)
        self.found = ""  # the state that the cancel found
        self.seconds = 0.0  # until it was answered, its wait for a turn included
        self.seen: Look

    async def play(self) -> None:
        """Let all of them have their turns until nobody wants any more."""
        await self.store.submit(new_job(id=JOB, queue_time_s=3600, run_time_s=3600))
        run = self.store._run

        async def in_turn(name: str, *args: str | float) -> Any:
            await self.turns.take()
            return await run(name, *args)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.store, "_run", in_turn)
            async with asyncio.TaskGroup() as group:
                for actor in (self.work("w1"), self.work("w2"), self.sweep(), self.cancel()):
                    group.create_task(self.act(actor))

    async def act(self, actor: Coroutine[Any, Any, None]) -> None:
        """Do what an actor does, and make room for the others."""
        try:
            await actor
        finally:
            self.turns.rest()

    async def work(self, worker: str) -> None:
        """Claim the job as often as its bell rings, and write with each lease to the bitter end."""
        for _ in range(3):
            lease = await self.store.claim(JOB, worker=worker, lease_s=LEASE_S)
            if lease is None:
                continue
            for doing in (
                "call",
                "image",
                "call",
                "image",
                self.dice.choice(["end", "release", "wait"]),
                "image",
                "end",
            ):
                if self.dice.random() < 0.05:
                    break  # it crashes
                with suppress(LeaseLost, CallRefused):  # a zombie goes on all the same
                    await self.write(lease, doing)

    async def write(self, lease: Lease, doing: str) -> None:
        """Do one thing to the job."""
        index = self.dice.randrange(COUNT)
        match doing:
            case "call":
                number = self.dice.randrange(100)
                await self.store.begin_attempt(lease, number, attempt(), max_calls=99)
                await self.store.end_attempt(lease, number, attempt(Outcome.DELIVERED), event="retry", text="again")
            case "image":
                await self.store.add_image(lease, image(JOB, index))
            case "end":
                await self.store.end(lease, self.dice.choice([JobState.SUCCEEDED, JobState.FAILED]))
            case _:
                await self.store.release(lease, wait_s=5 if doing == "wait" else 0)

    async def sweep(self) -> None:
        """Let leases end, and end them."""
        for _ in range(3):
            for _ in range(self.dice.randrange(6)):
                await self.turns.take()
            await self.table.moved(LEASE_S * 1000)
            await self.store.sweep("w1", patience_s=0, lock_s=60, bell_s=2)

    async def cancel(self) -> None:
        """Cancel the job at any moment, and look at once what there is of it."""
        for _ in range(self.dice.randrange(20)):
            await self.turns.take()
        begun = time.perf_counter()
        self.found = await self.store.cancel(JOB, owner="ann")
        self.seconds = time.perf_counter() - begun
        self.seen = await self.table.looked()


def test_no_job_comes_back_from_a_cancel(own_redis: RealRedis) -> None:
    found: Counter[str] = Counter()
    times = []
    with JobTable(own_redis) as table:
        for seed in range(ROUNDS):
            table.clear()
            play = Round(table, seed)
            table.run(play.play())
            look, before = table.look(), play.seen
            state = JobState.CANCELLED if play.found in ACTIVE else JobState(play.found)
            told = look.story(JOB)
            check_story(told, [state])
            assert look.fields(f"job:{JOB}") == before.fields(f"job:{JOB}"), f"seed {seed}: something was written after"
            assert told == before.story(JOB), f"seed {seed}: something was told after"
            assert not any(JOB in look.scores(name) for name in ("queued", "waiting", "running", "deadlines"))
            found[play.found] += 1
            found[f"after {before.story(JOB)[-2]}"] += play.found in ACTIVE
            times.append(play.seconds)
    print(found, f"the 10th slowest answer took {1000 * sorted(times)[-10]:.1f} ms")
    assert sorted(times)[-10] < 0.2
    assert sum(found[state] for state in JobState) == ROUNDS
    assert found["queued"] > 100
    assert found["running"] > 300
    assert {f"after {kind}" for kind in ("queued", "running", "attempt", "retry", "image", "waiting")} <= found.keys()
