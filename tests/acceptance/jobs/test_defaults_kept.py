"""A job runs with the defaults it was accepted with, although the configuration has changed since."""

from __future__ import annotations

import json

import pytest

from contract.jobs.job import Job, JobState
from contract.redis.client import open_redis
from tests.support.stack.stack import House

pytestmark = pytest.mark.real_redis


async def accepted_then_made(house: House, *, forget: bool = False, **later: object) -> Job:
    """Accept a job with one configuration, and make it by a worker with another one."""
    house.write_config(providers={"openrouter": {"extraBody": {"quality": "low"}}}, model="old/model")
    async with house.client() as darkroom:
        job = await darkroom.submit(prompt="a fox")
    if forget:
        async with open_redis(house.redis.url) as redis:
            await redis.hdel(f"darkroom:job:{job.id}", "defaults")
    house.write_config("aihubmix", model="gpt-image-2-free", **later)  # type: ignore[arg-type]
    await house.start_worker()
    async with house.client() as darkroom:
        return await darkroom.wait(job.id, timeout_s=30)


async def test_provider_model_and_quality_are_those_of_its_acceptance(house: House) -> None:
    job = await accepted_then_made(house, providers={"openrouter": {"extraBody": {"quality": "high"}}})
    [call] = house.simulator.ledger
    assert (job.state, call.path) == (JobState.SUCCEEDED, "/api/v1/chat/completions")
    body = call.body or {}
    assert (body["model"], body["quality"]) == ("old/model", "low")
    assert [(attempt.provider, attempt.quality) for attempt in job.attempts] == [("openrouter", "low")]
    assert json.loads(job.request.model_dump_json()).keys().isdisjoint({"provider", "model", "quality"})


async def test_a_provider_that_was_taken_away_is_told(house: House) -> None:
    job = await accepted_then_made(house, providers={"openrouter": {"apiKey": ""}})
    assert (job.state, job.error and job.error.code) == (JobState.FAILED, "missing_api_key")
    assert house.simulator.ledger == []


async def test_a_job_of_an_older_gateway_is_made_as_the_worker_is_configured(house: House) -> None:
    job = await accepted_then_made(house, forget=True)
    assert [(attempt.provider, attempt.model) for attempt in job.attempts] == [("aihubmix", "gpt-image-2-free")]
