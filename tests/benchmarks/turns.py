"""Who was served when, as the gateway tells it: for bench_gateway.py."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from random import Random
from typing import Any

OWNERS = 20
ENOUGH_S = 1.0  # an owner that was due less is left out: shares of a few whole jobs are mere rounding

Ask = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Turn:
    """One job's waiting and running, in seconds."""

    owner: str
    accepted: float
    started: float
    ended: float


async def newcomers_wait(ask: Ask) -> int:
    """Let A hand in 200 jobs and then B one; answer how many of A's start between B's acceptance and its start."""
    for _ in range(200):
        await ask("POST", "/v1/jobs", "a", prompt="x", image_size="512")
    job = await ask("POST", "/v1/jobs", "b", prompt="x", image_size="512")
    await ask("GET", f"/v1/jobs/{job['id']}?wait=60", "b")
    [mine], others = await turns(ask, "b"), await turns(ask, "a")
    for other in await unfinished(ask, "a"):
        await ask("POST", f"/v1/jobs/{other}/cancel", "a")
    return sum(mine.accepted < other.started < mine.started for other in others)


async def bursts(ask: Ask) -> list[Turn]:
    """Let owners hand in bursts of 5 to 40 jobs, in a random order; answer everybody's turns."""
    dice = Random(1)
    owners = [f"owner{number}" for number in range(OWNERS)]
    for owner in owners:
        for _ in range(dice.randint(5, 40)):
            await ask("POST", "/v1/jobs", owner, prompt="x", image_size="512")
    for owner in owners:
        for job in await unfinished(ask, owner):
            await ask("GET", f"/v1/jobs/{job}?wait=60", owner)
    return [turn for owner in owners for turn in await turns(ask, owner)]


def shares(found: Iterable[Turn], *, slots: int) -> list[float]:
    """Tell what each owner was given of what it was due, while two or more of them had jobs waiting.

    In each piece of that time every owner with a job waiting is due an equal share of the slots.
    """
    found = list(found)
    given: defaultdict[str, float] = defaultdict(float)
    due: defaultdict[str, float] = defaultdict(float)
    moments = sorted({moment for turn in found for moment in (turn.accepted, turn.started, turn.ended)})
    for begin, end in pairwise(moments):
        waiting = {turn.owner for turn in found if turn.accepted <= begin < turn.started}
        if len(waiting) < 2:
            continue
        for owner in waiting:
            due[owner] += (end - begin) * slots / len(waiting)
        for turn in found:
            if turn.owner in waiting and turn.started <= begin < turn.ended:
                given[turn.owner] += end - begin
    return [given[owner] / seconds for owner, seconds in due.items() if seconds >= ENOUGH_S]


async def turns(ask: Ask, owner: str) -> list[Turn]:
    """Read an owner's turns, of the jobs that have been started."""
    jobs = await listed(ask, owner, "running,succeeded")
    return [
        Turn(owner, *(seconds(job[name] or job["started_at"]) for name in ("created_at", "started_at", "ended_at")))
        for job in jobs
    ]


async def unfinished(ask: Ask, owner: str) -> list[str]:
    """Name an owner's jobs that are not over."""
    return [job["id"] for job in await listed(ask, owner, "queued,running")]


async def listed(ask: Ask, owner: str, states: str) -> list[dict[str, Any]]:
    """List all jobs of an owner in some states."""
    page = await ask("GET", f"/v1/jobs?limit=100&state={states}", owner)
    jobs: list[dict[str, Any]] = page["jobs"]
    while page["next"]:
        page = await ask("GET", f"/v1/jobs?limit=100&state={states}&cursor={page['next']}", owner)
        jobs += page["jobs"]
    return jobs


def seconds(moment: str) -> float:
    """Read a moment."""
    return datetime.fromisoformat(moment).timestamp()
