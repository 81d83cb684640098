"""A job runs with the defaults it was accepted with, although the configuration has changed since."""

from __future__ import annotations

import json

import pytest

from contract.jobs.job import Job, JobState
from contract.redis.client import open_redis
from tests.support.stack.stack import Stack

pytestmark = pytest.mark.real_redis


async def accepted_then_made(stack: Stack, *, forget: bool = False, **later: object) -> Job:
    """Accept a job with one configuration, and make it by a worker with another one."""
    stack.write_config(providers={"openrouter": {"extraBody": {"quality": "low"}}}, model="old/model")
    async with stack.client() as darkroom:
        job = await darkroom.submit(prompt="a fox")
    if forget:
        async with open_redis(stack.redis.url) as redis:
            await redis.hdel(f"darkroom:job:{job.id}", "defaults")
    stack.write_config("aihubmix", model="gpt-image-2-free", **later)  # type: ignore[arg-type]
    await stack.start_worker()
    async with stack.client() as darkroom:
        return await darkroom.wait(job.id, timeout_s=30)


async def test_provider_model_and_quality_are_those_of_its_acceptance(stack: Stack) -> None:
    job = await accepted_then_made(stack, providers={"openrouter": {"extraBody": {"quality": "high"}}})
    [call] = stack.simulator.ledger
    assert (job.state, call.path) == (JobState.SUCCEEDED, "/api/v1/chat/completions")
    body = call.body or {}
    assert (body["model"], body["quality"]) == ("old/model", "low")
    assert [(attempt.provider, attempt.quality) for attempt in job.attempts] == [("openrouter", "low")]
    assert json.loads(job.request.model_dump_json()).keys().isdisjoint({"provider", "model", "quality"})


async def test_a_provider_that_was_taken_away_is_told(stack: Stack) -> None:
    job = await accepted_then_made(stack, providers={"openrouter": {"apiKey": ""}})
    assert (job.state, job.error and job.error.code) == (JobState.FAILED, "missing_api_key")
    assert stack.simulator.ledger == []


async def test_a_job_of_an_older_gateway_is_made_as_the_worker_is_configured(stack: Stack) -> None:
    job = await accepted_then_made(stack, forget=True)
    assert [(attempt.provider, attempt.model) for attempt in job.attempts] == [("aihubmix", "gpt-image-2-free")]
