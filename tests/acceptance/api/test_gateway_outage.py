"""What the gateway answers while Redis is away, that it comes back by itself, and how it takes its own end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from random import Random
from typing import Any

import pytest

from contract.redis.client import open_redis
from contract.store.keys import EVENTS_CHANNEL
from producer.client.load_shedding import FEW
from tests.support.clients.openapi_requests import FOX, JSON, Route, routes
from tests.support.network.http_client import LAST_CHUNK, Connection
from tests.support.network.redis_outages import WAYS, Outages, redis_outages
from tests.support.stack.stack import Stack

pytestmark = pytest.mark.real_redis

# What needs no Redis, and what has an answer of its own to its absence.
UNMOVED = {"GET /livez": 200, "GET /v1/models": 200, "GET /v1/models/{model}": 200, "GET /v1/webhooks/secret": 200}
OWN = {"GET /readyz": 503, "GET /v1/tasks/{task_id}": 200}
ANSWER_S = 3.0 + 0.5  # the half is for a machine that is busy
KILLS, KEYS = 5, 10

Start = Callable[[], Awaitable[Connection]]


@pytest.fixture
async def outages(stack: Stack) -> AsyncIterator[Outages]:
    """A Redis that can be away in many ways."""
    async with redis_outages(stack) as outages:
        yield outages


@pytest.fixture
async def start(stack: Stack) -> AsyncIterator[Start]:
    """Starts a gateway, and connects Ann to it."""
    token, opened = stack.token("ann"), []

    async def start() -> Connection:
        url = await stack.start_gateway()
        opened.append(Connection(int(url.rpartition(":")[2]), token))
        return opened[-1]

    yield start
    for connection in opened:
        connection.close_all()


@pytest.fixture
async def ann(outages: Outages, start: Start) -> Connection:
    """A connection of Ann's to a gateway whose Redis can be away."""
    return await start()


async def submit(ann: Connection, **headers: str) -> dict[str, Any]:
    """Hand a job in."""
    answer = await ann.ask("POST", "/v1/jobs", FOX, JSON | headers)
    assert answer.status == 202, answer
    return dict(answer.json())


async def submit_each(ann: Connection, keys: Sequence[str], *, is_killed: bool = False) -> list[dict[str, Any] | None]:
    """Hand jobs in with idempotency keys, each on a connection of its own, as many at once as are never too many.

    A gateway that `is_killed` meanwhile may break connections; whatever it answers is as good as that of any other.
    """
    places = asyncio.Semaphore(FEW)

    async def one(key: str) -> dict[str, Any] | None:
        async with places:
            try:
                return await submit(ann.another(), **{"Idempotency-Key": key})
            except (OSError, EOFError):
                if not is_killed:
                    raise
                return None

    return await asyncio.gather(*(one(key) for key in keys))


async def every_route(ann: Connection) -> list[Route]:
    """List all routes, with a job that is there and an image that is not."""
    job = (await submit(ann))["id"]
    model = (await ann.ask("GET", "/v1/models")).json()["data"][0]["id"]
    page = (await ann.ask("GET", "/openapi.json")).json()
    return routes(page, job_id=job, task_id=job, artifact_id="img_0123456789ab", model=model)


async def judge(ann: Connection, route: Route, code: str) -> None:
    """Ask for a route without Redis, or with a full one, and check how and when it answers."""
    began = time.monotonic()
    answer = await route.ask(ann.another())
    assert time.monotonic() - began < ANSWER_S, str(route)
    wanted = (UNMOVED | OWN).get(str(route), 503)
    assert answer.status == wanted, (str(route), answer)
    if wanted == 503:
        assert int(answer.headers["retry-after"]) > 0
    if str(route) not in UNMOVED | OWN:
        told = answer.json()
        assert told.get("error", told)["code"] == code, (str(route), answer)


async def is_ready_again(ann: Connection) -> None:
    """Wait until a gateway says that it is ready; that is within seconds."""
    async with asyncio.timeout(5):
        while (await ann.ask("GET", "/readyz")).status != 200:
            await asyncio.sleep(0.05)


async def somebody_waits(stack: Stack) -> None:
    """Wait until the gateway listens to what happens to jobs."""
    async with open_redis(stack.redis.url) as redis:
        while (await redis.pubsub_numsub(EVENTS_CHANNEL))[0][1] == 0:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("what", WAYS)
async def test_every_route_says_in_time_that_redis_is_away(outages: Outages, ann: Connection, what: str) -> None:
    known = await every_route(ann)
    outages.begin(what)
    code = "queue_full" if what == "full" else "queue_unavailable"
    await asyncio.gather(*(judge(ann, route, code) for route in known))
    outages.end(what)
    await is_ready_again(ann)
    assert (await submit(ann))["state"] == "queued"


async def test_a_full_redis_takes_no_jobs_but_tells_of_them_and_cancels_them(outages: Outages, ann: Connection) -> None:
    job = await submit(ann)
    async with open_redis(outages.stack.redis.url) as redis:
        await redis.config_set("maxmemory", 1)
        refused = await ann.ask("POST", "/v1/jobs", FOX, JSON)
        assert (refused.status, refused.json()["code"]) == (503, "queue_full")
        assert (await ann.ask("GET", "/readyz")).status == 503
        assert (await ann.ask("GET", f"/v1/jobs/{job['id']}")).json()["state"] == "queued"
        assert (await ann.ask("POST", f"/v1/jobs/{job['id']}/cancel")).json()["state"] == "cancelled"
        await redis.config_set("maxmemory", 0)
    await is_ready_again(ann)
    await submit(ann)


async def test_scripts_that_redis_has_forgotten_are_told_again_without_a_word(
    outages: Outages, ann: Connection
) -> None:
    async with open_redis(outages.stack.redis.url) as redis:
        for _ in range(2):
            job = await submit(ann)
            await redis.script_flush()
            assert (await ann.ask("POST", f"/v1/jobs/{job['id']}/cancel")).json()["state"] == "cancelled"
            assert (await ann.ask("GET", f"/v1/jobs/{job['id'][:-1]}0")).status in (200, 404)
            await redis.script_flush()


@pytest.mark.parametrize("what", ["killed", "black hole"])
async def test_who_follows_or_waits_hears_of_the_end_after_an_outage(
    outages: Outages, ann: Connection, what: str
) -> None:
    job = (await submit(ann))["id"]
    waiting = asyncio.create_task(ann.another().ask("GET", f"/v1/jobs/{job}?wait=60"))
    await somebody_waits(outages.stack)
    stream = await ann.another().follow(f"/v1/jobs/{job}/events")
    await stream.readuntil(b"event: queued")
    outages.begin(what)
    assert (await ann.ask("GET", f"/v1/jobs/{job}?wait=1")).status == 503
    outages.end(what)
    await is_ready_again(ann)
    assert (await ann.ask("POST", f"/v1/jobs/{job}/cancel")).status == 200
    async with asyncio.timeout(4):
        assert (await waiting).json()["state"] == "cancelled"
        assert b"event: cancelled" in await stream.readuntil(LAST_CHUNK)


async def test_who_waits_longer_than_an_outage_lasts_is_told_of_it(outages: Outages, ann: Connection) -> None:
    job = (await submit(ann))["id"]
    waiting = asyncio.create_task(ann.another().ask("GET", f"/v1/jobs/{job}?wait=1"))
    await somebody_waits(outages.stack)
    outages.begin("killed")
    answer = await waiting
    assert (answer.status, answer.json()["code"], answer.headers["retry-after"]) == (503, "queue_unavailable", "3")


async def test_a_killed_gateway_costs_no_job_and_makes_none_twice(stack: Stack, start: Start) -> None:
    dice, keys = Random(7), list[str]()
    ann = await start()
    for kill in range(KILLS):
        keys += [f"key-{kill}-{number}" for number in range(KEYS)]
        trying = asyncio.create_task(submit_each(ann, keys, is_killed=True))
        await asyncio.sleep(dice.uniform(0, 0.1))
        os.killpg(stack.gateways[-1].pid, signal.SIGKILL)
        tried = await trying
        began = time.monotonic()
        ann = await start()
        assert time.monotonic() - began < 5
        again = [job["id"] for job in await submit_each(ann, keys) if job]
        assert all(first["id"] == second for first, second in zip(tried, again, strict=True) if first)
    assert len(set(again)) == len(keys) == len(await listed(ann))


async def test_one_key_is_one_job_however_many_ask_at_once(start: Start) -> None:
    ann = await start()
    for number in range(1, 6):
        jobs = await submit_each(ann, [f"key-{number}"] * 50)
        assert len({job["id"] for job in jobs if job}) == 1
        assert len(await listed(ann)) == number


async def listed(ann: Connection) -> list[str]:
    """Name all jobs of Ann's, of which there are a hundred at most."""
    return [job["id"] for job in (await ann.ask("GET", "/v1/jobs?limit=100")).json()["jobs"]]


async def test_a_gateway_that_is_told_to_stop_lets_everybody_go_and_exits_well(stack: Stack, start: Start) -> None:
    ann = await start()
    job = (await submit(ann))["id"]
    stream = await ann.another().follow(f"/v1/jobs/{job}/events")
    await stream.readuntil(b"event: queued")
    waiting = asyncio.create_task(ann.another().ask("GET", f"/v1/jobs/{job}?wait=60"))
    held = asyncio.create_task(ann.another().ask("POST", "/v1/images/generations", FOX, JSON))
    async with asyncio.timeout(5):
        while len(await listed(ann)) < 2:
            await asyncio.sleep(0.02)
        stack.gateways[0].terminate()
        assert (await waiting).json()["state"] == "queued"
        answer = await held
        assert (answer.status, json.loads(answer.body)["error"]["code"]) == (503, "gateway_stopping")
        assert (await stream.read(-1)).endswith(LAST_CHUNK)
    assert await asyncio.to_thread(stack.gateways[0].wait, 5) == 0
    assert "Error" not in stack.logs("gateway")
