"""An owner's oldest ended jobs are forgotten: over HTTP they are gone, on disk they are not, and none is paid again."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.clients.openapi_requests import FOX, JSON
from tests.support.network.http_client import Answer, Connection
from tests.support.stack.stack import Stack

pytestmark = pytest.mark.real_redis


@pytest.fixture
async def ann(stack: Stack) -> Connection:
    """A connection of Ann's to a gateway that remembers two ended jobs of each owner."""
    stack.environment["DARKROOM_KEEP_JOBS_PER_OWNER"] = "2"
    token = stack.token("ann")
    url, _ = await asyncio.gather(stack.start_gateway(), stack.start_worker())
    return Connection(int(url.rpartition(":")[2]), token)


async def submit(ann: Connection, **headers: str) -> Answer:
    return await ann.ask("POST", "/v1/jobs", FOX, JSON | headers)


async def test_a_forgotten_job_is_gone_and_its_image_stays(stack: Stack, ann: Connection) -> None:
    key = {"Idempotency-Key": "order-17"}
    first = (await submit(ann, **key, Prefer="wait=30")).json()
    [image] = first["images"]
    files = {path for path in (stack.folder / "media").rglob("*") if path.is_file()}
    for _ in range(3):
        await submit(ann, Prefer="wait=30")
    for place in (f"/v1/jobs/{first['id']}", f"/v1/jobs/{first['id']}/events", f"/v1/artifacts/{image['id']}"):
        assert (await ann.ask("GET", place)).status == 404, place
    assert len((await ann.ask("GET", "/v1/jobs")).json()["jobs"]) == 2
    assert files <= {path for path in (stack.folder / "media").rglob("*") if path.is_file()}
    calls = len(stack.simulator.ledger)
    again = await submit(ann, **key)
    assert (again.status, again.json()["code"]) == (422, "idempotency_key_forgotten")
    assert len(stack.simulator.ledger) == calls == 4
    ann.close_all()
