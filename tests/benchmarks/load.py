"""The load of bench_gateway.py, made in a process of its own: `python load.py MODE '{"port": …}'`.

It talks in lines of JSON, and ends what it holds open when its standard input does. Requests are sent at their
intended times, however the last ones fare (an open loop), and latencies are counted from those times on.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from statistics import median, quantiles
from typing import Any

from tests.support.network.http_client import LAST_CHUNK, Answer, Connection

JSON = {"Content-Type": "application/json"}
MOST_UNDER_WAY = 1000
LIVEZ_PER_S = 20


@dataclass
class Tally:
    """What became of one kind of request."""

    ms: list[float] = field(default_factory=list)  # of those that were served
    refused: int = 0  # with 429 or 503 and a Retry-After
    wrong: int = 0

    def told(self) -> dict[str, float]:
        """Sum it up."""
        shown: dict[str, float] = {"served": len(self.ms), "refused": self.refused, "wrong": self.wrong}
        if len(self.ms) > 1:
            shown |= {"p50": median(self.ms), "p99": quantiles(self.ms, n=100)[98], "max": max(self.ms)}
        return shown


class Load:
    """Requests at fixed rates for a while."""

    def __init__(self, port: int, token: str, owners: int) -> None:
        self._port, self._token, self._owners = port, token, owners
        self._idle: list[Connection] = []
        self._places = asyncio.Semaphore(MOST_UNDER_WAY)
        self._jobs: list[tuple[str, str]] = []
        self._dice = Random(1)

    async def submit(self, number: int) -> Answer:
        """Hand a job in, for one owner after the other."""
        owner = f"u{number % self._owners}"
        body = json.dumps({"prompt": f"a fox, the {number}th", "image_size": "512"}).encode()
        answer = await self._ask("POST", "/v1/jobs", body, JSON | {"X-Darkroom-User": owner})
        if answer.status == 202:
            self._jobs.append((owner, answer.json()["id"]))
        return answer

    async def poll(self, _: int) -> Answer:
        """Look at one of the jobs that were handed in."""
        while not self._jobs:
            await asyncio.sleep(0.01)
        owner, job = self._dice.choice(self._jobs)
        return await self._ask("GET", f"/v1/jobs/{job}", None, {"X-Darkroom-User": owner})

    async def live(self, _: int) -> Answer:
        """Ask what needs nothing but the event loop."""
        return await self._ask("GET", "/livez", None, {})

    async def run(self, ask: Callable[[int], Awaitable[Answer]], per_s: float, seconds: float) -> Tally:
        """Ask at a rate; the answers are awaited at the end."""
        loop, tally = asyncio.get_running_loop(), Tally()
        begin = loop.time()

        async def one(number: int, due: float) -> None:
            async with self._places:
                answer = await ask(number)
            if answer.status in (200, 202):
                tally.ms.append(1000 * (loop.time() - due))
            elif answer.status in (429, 503) and "retry-after" in answer.headers:
                tally.refused += 1
            else:
                tally.wrong += 1

        async with asyncio.TaskGroup() as group:
            for number in range(int(per_s * seconds)):
                due = begin + number / per_s
                await asyncio.sleep(max(0.0, due - loop.time()))
                group.create_task(one(number, due))
        return tally

    async def _ask(self, method: str, target: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        connection = self._idle.pop() if self._idle else Connection(self._port, self._token)
        try:
            return await connection.ask(method, target, body, headers)
        finally:
            self._idle.append(connection)


async def rate(port: int, token: str, owners: int, seconds: float, submits_per_s: float, polls_per_s: float) -> None:
    """Hand jobs in and look at them, at fixed rates, and tell how it went."""
    load = Load(port, token, owners)
    names = ("submit", "poll", "livez")
    asks: Iterable[Any] = zip(
        (load.submit, load.poll, load.live), (submits_per_s, polls_per_s, LIVEZ_PER_S), strict=True
    )
    tallies = await asyncio.gather(*(load.run(ask, per_s, seconds) for ask, per_s in asks))
    tell({name: tally.told() for name, tally in zip(names, tallies, strict=True)})


async def follow(port: int, token: str, jobs: list[tuple[str, str]], each: int) -> None:
    """Follow jobs, each some times over, to their ends; tell when all are open, and how many ends were told."""
    streams = []
    for owner, job in jobs:
        for _ in range(each):
            connection = Connection(port, token)
            streams.append((connection, await connection.follow(f"/v1/jobs/{job}/events", {"X-Darkroom-User": owner})))
    tell({"open": len(streams)})

    async def last_of(reader: asyncio.StreamReader) -> str:
        return (await reader.readuntil(LAST_CHUNK)).decode().rpartition("event: ")[2].partition("\n")[0]

    lasts = await asyncio.gather(*(last_of(reader) for _, reader in streams))
    tell({"ended": sum(last == "cancelled" for last in lasts)})


async def stall(port: int, token: str, jobs: list[tuple[str, str]], images: list[tuple[str, str]], each: int) -> None:
    """Hold connections of four kinds open without ever reading; tell their ports, and hang up when told to."""
    held, ports = [], []
    for number in range(each):
        owner, job = jobs[number % len(jobs)]
        owner_of_image, image = images[number % len(images)]
        for method, target, who, headers, times in (
            ("GET", f"/v1/jobs/{job}/events", owner, {}, 1),
            ("GET", f"/v1/artifacts/{image}", owner_of_image, {}, 20),
            ("POST", "/v1/jobs", owner, JSON | {"Content-Length": "5000"}, 1),
            ("POST", "/v1/uploads", owner, {"Content-Type": "image/png", "Content-Length": "500000"}, 1),
        ):
            held.append(connection := Connection(port, token))
            ports.append(await connection.send(method, target, headers | {"X-Darkroom-User": who}, times=times))
    tell({"ports": ports})
    await asyncio.to_thread(sys.stdin.read)


def tell(what: object) -> None:
    """Write one line."""
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    modes: dict[str, Callable[..., Any]] = {"rate": rate, "follow": follow, "stall": stall}
    asyncio.run(modes[sys.argv[1]](**json.loads(sys.argv[2])))
