"""What is another's is to nobody distinguishable from what does not exist."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from random import Random
from statistics import median
from typing import Any

import pytest

from contract.redis.client import open_redis
from producer.tokens import Right
from tests.support.clients.openapi_requests import FOX, JSON, Route, routes
from tests.support.factories.images import picture
from tests.support.network.http_client import Answer, Connection
from tests.support.stack.stack import Stack

pytestmark = pytest.mark.real_redis

REQUESTS, AT_ONCE, TIMED, NEAR_S = 10_000, 12, 30, 0.005
NAMES = ("job_id", "task_id", "artifact_id")
MISSING = {
    "job_id": "00000000-0000-4000-8000-000000000000",
    "artifact_id": "img_000000000000",
    "upload": "up_" + 64 * "0",
}


@dataclass(frozen=True, slots=True)
class Person:
    """One owner, as a caller, and what is its own."""

    name: str
    connection: Connection
    user: str
    own: dict[str, str]

    async def ask(self, route: Route, connection: Connection | None = None) -> Answer:
        """Ask for something."""
        return await route.ask(connection or self.connection, **({"X-Darkroom-User": self.user} if self.user else {}))

    async def get(self, method: str, target: str, body: bytes | None = None, **headers: str) -> Any:
        """Ask for something that is there."""
        answer = await self.ask(Route(method, target, target, body, headers))
        assert answer.status < 300, answer
        return answer.json()


@pytest.fixture
async def people(stack: Stack) -> AsyncIterator[list[Person]]:
    """Two users and two end users of a service, each with a job that is done, one that waits, and an upload."""
    tokens = {name: stack.token(name) for name in ("ann", "bob")}
    tokens["bot"] = stack.token("bot", rights=[Right.READ, Right.SUBMIT, Right.USERS])
    await stack.start_worker()
    url = await stack.start_gateway(DARKROOM_RATE="1000000/minute", DARKROOM_MISS_RATE="1000000/minute")
    port = int(url.rpartition(":")[2])
    people = [
        Person(f"{token}/{user}" if user else token, Connection(port, tokens[token]), user, {})
        for token, user in (("ann", ""), ("bob", ""), ("bot", "carl"), ("bot", "dora"))
    ]
    await asyncio.gather(*(furnish(person, picture(64 + side)) for side, person in enumerate(people)))
    stack.end(*stack.workers)
    for person in people:
        person.own["waiting"] = (await person.get("POST", "/v1/jobs", FOX, **JSON, **{"Idempotency-Key": "k"}))["id"]
    yield people
    for person in people:
        person.connection.close_all()


async def furnish(person: Person, own_picture: bytes) -> None:
    """Let a person have a job that is done, its image, and an upload that nobody else has."""
    job = await person.get("POST", "/v1/jobs", FOX, **JSON, Prefer="wait=30")
    upload = await person.get("POST", "/v1/uploads", own_picture, **{"Content-Type": "image/png"})
    person.own.update(job_id=job["id"], artifact_id=job["images"][0]["id"], upload=upload["id"])


def targets(openapi: dict[str, Any], values: dict[str, str]) -> list[Route]:
    """List all requests that name something of somebody."""
    all_routes = routes(openapi, **values, task_id=values["job_id"], model="m")
    found = [route for route in all_routes if any(f"{{{name}}}" in route.path for name in NAMES)]
    image = next(route for route in found if route.path.endswith("{artifact_id}"))
    story = next(route for route in found if route.path.endswith("/events"))
    found += [replace(image, method="HEAD"), replace(image, target=image.target + "?thumbnail=128")]
    found += [replace(story, headers={"Last-Event-ID": "1-1"})]
    for name in ("artifact_id", "upload"):
        body = json.dumps({"prompt": "a fox", "reference_images": [values[name]]}).encode()
        found.append(Route("POST", f"/v1/jobs with {name}", "/v1/jobs", body, JSON))
    return found


def likeness(answer: Answer) -> tuple[object, ...]:
    """Reduce an answer to what a stranger could tell it by."""
    body = re.sub(rb"req_[0-9a-f]{24}", b"", answer.body)
    own = {"date", "x-request-id", "ratelimit"}
    return answer.status, body, tuple(item for item in answer.headers.items() if item[0] not in own)


async def everything(stack: Stack) -> dict[str, Any]:
    """Read all that is known of jobs and images."""
    async with open_redis(stack.redis.url) as redis:
        keys = sorted([key async for key in redis.scan_iter(match="darkroom:job:*", count=1000)])
        jobs = {key: await (redis.xrange(key) if key.endswith(":events") else redis.hgetall(key)) for key in keys}
    files = {str(path): path.stat().st_mtime for path in stack.folder.rglob("*") if path.suffix in (".png", ".json")}
    return jobs | files


async def test_ten_thousand_requests_for_what_is_anothers(stack: Stack, people: list[Person]) -> None:
    page, dice = await people[0].get("GET", "/openapi.json"), Random(11)
    before = await everything(stack)
    missing = [likeness(await people[0].ask(route)) for route in targets(page, MISSING)]
    assert {status for status, *_ in missing} == {404, 422}
    pairs = [
        (me, targets(page, other.own | {"job_id": other.own[job]}))
        for me in people
        for other in people
        for job in ("job_id", "waiting")
        if other is not me
    ]
    orders = iter([(*dice.choice(pairs), dice.randrange(len(missing))) for _ in range(REQUESTS)])

    async def work() -> None:
        own = {person.name: person.connection.another() for person in people}
        for me, known, number in orders:
            answer = await me.ask(known[number], own[me.name])
            assert likeness(answer) == missing[number], (me.name, str(known[number]), answer)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    assert await everything(stack) == before


async def test_anothers_keys_cursors_and_links_lead_nowhere(people: list[Person]) -> None:
    ann, bob, *_ = people
    for person in people:
        again = await person.get("POST", "/v1/jobs", FOX, **JSON, **{"Idempotency-Key": "k"})
        assert (again["id"], again["owner"]) == (person.own["waiting"], person.name)
    theirs = (await ann.get("GET", "/v1/jobs?limit=1"))["next"]
    listed = (await bob.get("GET", f"/v1/jobs?cursor={theirs}"))["jobs"]
    assert {job["owner"] for job in listed} <= {"bob"}
    assert len({person.own["waiting"] for person in people}) == len(people)
    job = await ann.get("GET", f"/v1/jobs/{ann.own['job_id']}")
    path = job["images"][0]["signed_url"].partition("/v1/")[2]
    link = Route("GET", "", "/v1/" + path.replace(ann.own["artifact_id"], bob.own["artifact_id"]))
    missing = Route("GET", "", "/v1/" + path.replace(ann.own["artifact_id"], MISSING["artifact_id"]))
    assert (await ann.ask(Route("GET", "", "/v1/" + path))).status == 200
    assert likeness(await ann.ask(link)) == likeness(await ann.ask(missing))
    assert (await ann.ask(link)).status == 403


async def timed(person: Person, route: Route) -> float:
    """Ask for something, and tell in seconds how long that took."""
    began = time.perf_counter()
    await person.ask(route)
    return time.perf_counter() - began


async def test_how_long_it_takes_tells_nothing(people: list[Person]) -> None:
    ann, bob, *_ = people
    page = await ann.get("GET", "/openapi.json")
    for theirs, missing in zip(targets(page, bob.own), targets(page, MISSING), strict=True):
        took = [(await timed(ann, theirs), await timed(ann, missing)) for _ in range(TIMED)]
        difference_s = median(one for one, _ in took) - median(other for _, other in took)
        print(f"{theirs!s:50} {1000 * difference_s:+.2f} ms")
        assert abs(difference_s) < NEAR_S
