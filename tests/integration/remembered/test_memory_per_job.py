"""What a job costs in Redis while it is remembered, with the configuration that `darkroom up` gives its server."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from contract.jobs.job import Image, JobState
from contract.redis.client import open_redis
from contract.store.doorbell import Doorbell
from tests.support.factories.job_store import JobStore
from tests.support.factories.jobs import asked
from tests.support.stack.redis_server import RealRedis
from tests.support.store.table import claimed, submitted

pytestmark = pytest.mark.real_redis

JOBS = 200
MOST_BYTES = 5500  # of an ended job with one image and a prompt of 200 characters
MOST_BYTES_LATER = 3000  # once workers have taken its bell, and its stream is over


@pytest.fixture
async def redis(own_redis: RealRedis) -> AsyncIterator[Redis]:
    """A server of our own, whose memory nothing else uses."""
    async with open_redis(own_redis.url) as client:
        yield client


async def live(store: JobStore) -> None:
    """Let a job be submitted, run, bring an image and end."""
    prompt = f"a red fox {uuid.uuid4()} " + "in the snow, at dawn, with birch trees behind it, " * 3
    job_id = await submitted(store, request=asked(prompt[:200]))
    lease = await claimed(store, job_id, worker="darkroom@host-1")
    name = f"img_{job_id.replace('-', '')[:12]}"
    path = f"/home/ann/.nanobot/media/generated/2026-11-30/{name}"
    described = {"mime": "image/png", "width": 1024, "height": 1024, "bytes": 170_000, "sha256": uuid.uuid4().hex * 2}
    await store.add_image(
        lease,
        Image.model_validate({"id": name, "index": 0, "path": path + ".png", "sidecar": path + ".json"} | described),
    )
    await store.end(lease, JobState.SUCCEEDED)


async def used(redis: Redis) -> int:
    return int((await redis.info("memory"))["used_memory"])


async def test_an_ended_job_takes_few_bytes(redis: Redis) -> None:
    store = JobStore(redis, Doorbell(), retention_s=3600)
    for _ in range(20):  # tables and scripts that are there once
        await live(store)
    before = await used(redis)
    for _ in range(JOBS):
        await live(store)
    assert (await used(redis) - before) / JOBS < MOST_BYTES


async def let_pass(redis: Redis) -> None:
    """Remove what is there for a short while only."""
    await redis.delete("darkroom:bells", *[str(key) async for key in redis.scan_iter("darkroom:job:*:events")])


async def test_an_ended_job_takes_fewer_later(redis: Redis) -> None:
    store = JobStore(redis, Doorbell(), retention_s=3600)
    for _ in range(20):
        await live(store)
    await let_pass(redis)
    before = await used(redis)
    for _ in range(JOBS):
        await live(store)
    await let_pass(redis)
    print(took := (await used(redis) - before) / JOBS)
    assert took < MOST_BYTES_LATER
