"""`python -m tests.siege.tenants '{"ports": […], "tokens": […]}'`: ten who behave well, and what they wait for.

Each hands a job in now and then, at intended times however the last one fares (an open loop), and counts from that
time. They print one line of JSON for each thing that they waited for, until standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from datetime import datetime
from itertools import count
from typing import Any

from tests.support.network.http_client import Answer, Connection
from tests.support.network.webhook_receiver import GOOD, Heard, Receiver

EVERY_S = 1.5
PATIENCE_S = 30.0
JSON = {"Content-Type": "application/json"}


class Tenant:
    """One of them."""

    def __init__(self, name: str, port: int, token: str, receiver: Receiver) -> None:
        self._name, self._port, self._token = name, port, token
        self._receiver = receiver
        self._delivered: dict[str, asyncio.Future[float]] = {}

    async def live(self, first: float) -> None:
        """Hand in one job after the other, for ever."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            for number in count():
                due = first + number * EVERY_S
                await asyncio.sleep(max(0.0, due - loop.time()))
                group.create_task(self._one(f"{self._name}-{number}", loop.time() - due))

    def hear(self, name: str, at: float) -> None:
        """Note when a webhook came, in seconds of the wall clock."""
        if name in self._delivered and not self._delivered[name].done():
            self._delivered[name].set_result(at)

    async def _one(self, name: str, late_s: float) -> None:
        begun = time.time() - late_s
        self._delivered[name] = asyncio.get_running_loop().create_future()
        connection = Connection(self._port, self._token)  # a new one each time: it has to be let in
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._make(connection, name, begun)
        except TimeoutError:
            tell("lost", begun, PATIENCE_S, "no end within the patience of a person")
        except (OSError, EOFError) as error:
            tell("lost", begun, time.time() - begun, repr(error))
        finally:
            connection.close()
            del self._delivered[name]

    async def _make(self, connection: Connection, name: str, begun: float) -> None:
        url = self._receiver.url(f"/{name}")
        wish = {"prompt": f"a fox for {name}", "image_size": "512", "webhook_url": url}
        answer = await connection.ask("POST", "/v1/jobs", json.dumps(wish).encode(), JSON)
        if not taken("submit", begun, answer, 202):
            return
        job = f"/v1/jobs/{answer.json()['id']}"
        asked = time.time()
        taken("status", asked, await connection.ask("GET", job), 200)
        done = (await connection.ask("GET", f"{job}?wait={PATIENCE_S:.0f}")).json()
        if done.get("state") != "succeeded":
            tell("lost", begun, time.time() - begun, str(done.get("error") or done))
            return
        image = "/v1/artifacts/" + done["images"][0]["id"]
        taken("first image", begun, await connection.ask("GET", image), 200)
        asked = time.time()
        taken("thumbnail", asked, await connection.ask("GET", f"{image}?thumbnail=128"), 200)
        at = await self._delivered[name]
        tell("webhook", begun, at - datetime.fromisoformat(done["ended_at"]).timestamp())


def taken(kind: str, begun: float, answer: Answer, status: int) -> bool:
    """Tell what was waited for, or that it was refused."""
    is_good = answer.status in (status, 200)  # a job that has ended meanwhile is told so
    tell(kind, begun, time.time() - begun, "" if is_good else f"{answer.status} {answer.body[:200]!r}")
    return is_good


def tell(kind: str, at: float, seconds: float, wrong: str = "") -> None:
    """Write one line: what, when it was wanted, how long it took, and what was wrong."""
    print(json.dumps({"kind": kind, "at": at, "seconds": seconds, "wrong": wrong}), flush=True)


async def main(ports: list[int], tokens: list[str]) -> None:
    """Live until standard input ends."""
    tenants: dict[str, Tenant] = {}

    def hear(heard: Heard) -> bytes:
        name = heard.path.removeprefix("/")
        tenants[name.partition("-")[0]].hear(name, time.time())
        return GOOD

    async with Receiver(hear) as receiver:
        for number, token in enumerate(tokens):
            tenants[f"t{number}"] = Tenant(f"t{number}", ports[number % len(ports)], token, receiver)
        now = asyncio.get_running_loop().time()
        lives = [
            asyncio.create_task(tenant.live(now + number * EVERY_S / len(tokens)))
            for number, tenant in enumerate(tenants.values())
        ]
        await asyncio.to_thread(sys.stdin.read)
        for life in lives:
            life.cancel()
        await asyncio.wait(lives)


if __name__ == "__main__":
    made: Callable[..., Any] = main
    asyncio.run(made(**json.loads(sys.argv[1])))
