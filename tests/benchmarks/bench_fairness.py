"""Who is served when, on the real job table: bursts of many owners at a few slots. Also part of `make bench`.

A worker of 8 slots is played on the table's own scripts, whose clock this page moves: a free slot takes the next bell
of the first list that has one, claims its job, and ends it after a random (log-normal) time. Sweeps come each second.

Jain's index: time is cut where an owner comes to have a job waiting or has none any more. In each piece with two such
owners or more, every one of them is due an equal share of the slots; what an owner was given (slot seconds) over what
it was due, both summed over all pieces, is its x. The index is (Σx)² / (n·Σx²): 1 is wholly fair, 1/n is one owner
served alone. An owner that was due less than ten jobs' time is left out: a share of a few whole jobs is mere rounding.
"""

from __future__ import annotations

import heapq
import json
import sys
from collections import defaultdict
from random import Random

from contract.jobs.job import JobState
from contract.store.celery_app import PRIORITIES
from contract.store.lease import Lease
from tests.support.factories.jobs import new_job
from tests.support.model.table import JobTable
from tests.support.stack.redis_server import RealRedis, running_redis

SLOTS = 8
OWNERS = 20
TAKES_S = 10.0  # a job, in the middle
SPREAD = 0.6  # of the logarithm of that
WITHIN_S = 600  # all bursts have come
LEASE_S = 15.0  # it is never judged: the sweeps have endless patience
ENOUGH_S = 10 * TAKES_S
SEEDS = range(1, 4)


class Play:
    """One worker, its slots and its sweeper, in the table's own time."""

    def __init__(self, table: JobTable, dice: Random) -> None:
        self.table, self.dice = table, dice
        table.clear()
        self.owner_of: dict[str, str] = {}
        self.started: list[str] = []
        self.running: list[tuple[int, str, Lease]] = []  # by when they end
        self.waiting: defaultdict[str, int] = defaultdict(int)
        self.held: defaultdict[str, int] = defaultdict(int)
        self.given: defaultdict[str, float] = defaultdict(float)
        self.due: defaultdict[str, float] = defaultdict(float)

    def submit(self, owner: str, count: int) -> list[str]:
        """Let an owner hand in a burst."""
        ids = [f"{owner}-{len(self.owner_of) + number}" for number in range(count)]
        for job_id in ids:
            most = {"max_active": 500, "max_queued": 10_000}
            new = new_job(id=job_id, owner=owner, queue_time_s=86_400, run_time_s=86_400, **most)
            self.table.run(self.table.store.submit(new))
            self.owner_of[job_id] = owner
        self.waiting[owner] += count
        return ids

    def go_on(self, until_ms: int) -> None:
        """Play until a moment, or until nobody has any more jobs."""
        self._fill()
        while self.running and self.running[0][0] <= until_ms:
            when, job_id, lease = heapq.heappop(self.running)
            self._pass(when)
            self.table.run(self.table.store.end(lease, JobState.SUCCEEDED))
            self.held[self.owner_of[job_id]] -= 1
            self._fill()
        if self.running:
            self._pass(until_ms)

    def _pass(self, until_ms: int) -> None:
        """Let time pass, and book who was given and due what."""
        passed_s = (until_ms - self.table.now_ms) / 1000
        backlogged = [owner for owner, count in self.waiting.items() if count]
        if len(backlogged) > 1:
            for owner in backlogged:
                self.given[owner] += passed_s * self.held[owner]
                self.due[owner] += passed_s * SLOTS / len(backlogged)
        self.table.move(until_ms - self.table.now_ms)

    def _fill(self) -> None:
        """Give all free slots to the next bells; one that is lost is rung by a sweep."""
        while len(self.running) < SLOTS and any(self.waiting.values()):
            job_id = self.table.run(self.next_bell())
            if job_id is None:
                store = self.table.store
                assert self.table.run(store.sweep("w", patience_s=1e6, lock_s=2, bell_s=2)), "a job is stuck"
                continue
            lease = self.table.run(self.table.store.claim(job_id, worker="w", lease_s=LEASE_S))
            if lease is None:
                continue
            owner = self.owner_of[job_id]
            self.started.append(job_id)
            self.waiting[owner] -= 1
            self.held[owner] += 1
            takes_s = TAKES_S * self.dice.lognormvariate(0, SPREAD)
            heapq.heappush(self.running, (self.table.now_ms + int(1000 * takes_s), job_id, lease))

    async def next_bell(self) -> str | None:
        """Take the next bell as Celery does: of the first list that has one."""
        for priority in range(PRIORITIES):
            bell = await self.table.redis.rpop("darkroom:bells" + (f":{priority}" if priority else ""))
            if bell is not None:
                return str(json.loads(str(bell))["headers"]["id"])
        return None

    def shares(self, *, least_s: float) -> list[float]:
        """Tell what each owner was given of what it was due, if that was enough to be told by."""
        return [self.given[owner] / due for owner, due in self.due.items() if due >= least_s]


def jain(shares: list[float]) -> float:
    """Say how equal shares are: 1 is wholly."""
    return sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))


def bursts(table: JobTable, seed: int) -> Play:
    """Play 20 owners with bursts of 5 to 60 jobs to their end."""
    dice = Random(seed)
    play = Play(table, dice)
    begin = table.now_ms
    coming = sorted((int(1000 * dice.uniform(0, WITHIN_S)), f"owner{number}") for number in range(OWNERS))
    for after_ms, owner in coming:
        play.go_on(begin + after_ms)
        table.move(max(0, begin + after_ms - table.now_ms))
        play.submit(owner, dice.randint(5, 60))
    play.go_on(sys.maxsize)
    assert len(play.started) == len(play.owner_of), "a job is stuck"
    return play


def newcomer(table: JobTable, *, after_s: int) -> int:
    """Let A hand in 200 jobs and later B one; answer how many of A's start before it from then on."""
    play = Play(table, Random(1))
    play.submit("A", 200)
    if after_s:
        play.go_on(table.now_ms + 1000 * after_s)
    before = len(play.started)
    [job_id] = play.submit("B", 1)
    play.go_on(sys.maxsize)
    return play.started.index(job_id) - before


def tell(name: str, server: RealRedis, edits: dict[str, str]) -> None:
    """Measure one table and print what was found."""
    print(f"{name}: {OWNERS} owners at {SLOTS} slots")
    with JobTable(server, edits) as table:
        for seed in SEEDS:
            play = bursts(table, seed)
            some, everybody = play.shares(least_s=ENOUGH_S), play.shares(least_s=0)
            print(
                f"  bursts {seed}: Jain's index {jain(some):.3f} of {len(some)} owners (shares {min(some):.2f} to"
                f" {max(some):.2f}), {jain(everybody):.3f} of all {len(everybody)}"
            )
        at_once, later = newcomer(table, after_s=0), newcomer(table, after_s=60)
        print(
            f"  A submits 200, then B one: {at_once} of A's start before B's if it comes at once,"
            f" {later} after a minute"
        )


def main() -> None:
    """Measure, on a real Redis with a clock of our own."""
    with running_redis(within=None) as server:
        tell("as it is", server, {})
        tell("without parking", server, {"local READY = 10": "local READY = 1000"})


if __name__ == "__main__":
    main()
