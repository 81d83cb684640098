"""Whose failures concern whom: other owners, other models, other images of a job; and when a failing job ends."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import pytest

from contract.jobs.job import Job, JobState, Outcome
from producer.client.client import Darkroom
from tests.support.stack.stack import Stack

pytestmark = pytest.mark.real_redis

MODEL = "openai/gpt-5.4-image-2"  # the configured one
OTHER = "other/model"
SLOW_BREAKER = {"BREAKER_SECONDS": "60", "RETRY_SECONDS": "0.2"}


async def start(stack: Stack, **settings: str) -> None:
    """Start a worker for two models."""
    lines = {"MODELS": OTHER, **settings}
    (stack.folder / "darkroom.env").write_text("".join(f"DARKROOM_{name}={value}\n" for name, value in lines.items()))
    stack.environment.pop("DARKROOM_RETRY_SECONDS")
    await stack.start_worker()


async def run(darkroom: Darkroom, prompt: str = "a fox", **request: Any) -> Job:
    job = await darkroom.submit(prompt=prompt, **request)
    return await darkroom.wait(job.id, timeout_s=60)


async def seconds_of(darkroom: Darkroom, **request: Any) -> float:
    """Run a job that has to succeed; tell how long that took."""
    began = time.monotonic()
    assert (await run(darkroom, **request)).state is JobState.SUCCEEDED
    return time.monotonic() - began


def calls_of(stack: Stack, text: str = "") -> Counter[str]:
    """Count the calls whose prompt contains a text, by job."""
    return Counter(call.job_id or "" for call in stack.simulator.ledger if text in str(call.body))


async def test_prompts_that_always_fail_delay_no_other_owner(stack: Stack) -> None:
    await start(stack, **SLOW_BREAKER)
    async with stack.client("ann") as ann, stack.client("bob") as bob:
        alone = await seconds_of(bob)
        failing = [await ann.submit(prompt=f"[fail] {number}") for number in range(30)]
        beside = [await seconds_of(bob) for _ in range(8)]
        ends = [await ann.wait(job.id, timeout_s=60) for job in failing]
    assert max(beside) < alone + 15, beside  # a breaker that opened would take 60 s
    assert {job.error.code for job in ends if job.error} == {"provider_error"}
    assert all(3 <= calls <= 9 for calls in calls_of(stack, "[fail]").values())


async def test_a_job_that_fails_alone_ends_early_however_many_did_before(stack: Stack) -> None:
    await start(stack, **SLOW_BREAKER)
    async with stack.client() as darkroom:
        jobs = [await run(darkroom, "[fail]", image_size=size) for size in ("1K", "2K", "1K", "1K")]
        assert await seconds_of(darkroom) < 15
    assert [job.error.code for job in jobs if job.error] == ["provider_error"] * 4
    assert [len(job.attempts) for job in jobs] == [3, 3 + 3, 3, 3]


async def test_repeats_of_one_job_delay_no_job_for_another_model(stack: Stack) -> None:
    await start(stack, **SLOW_BREAKER)
    stack.simulator.script([{"kind": "status", "status": 502, "times": 5}], model=MODEL)
    async with stack.client() as darkroom:
        job = await darkroom.submit(prompt="a fox")
        async with asyncio.timeout(30):
            while sum(calls_of(stack).values()) < 5:
                await asyncio.sleep(0.02)
        assert await seconds_of(darkroom, model=OTHER) < 15
        assert await seconds_of(darkroom) < 15  # nor any other job for the same one
        done = await darkroom.wait(job.id, timeout_s=60)
    assert (done.state, len(done.attempts)) == (JobState.SUCCEEDED, 6)


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "provider_forbidden", "Your organization must be verified to use the model"),
        (402, "provider_credits", "Insufficient credits"),
    ],
)
async def test_what_concerns_one_model_closes_only_that_model(stack: Stack, status: int, code: str, said: str) -> None:
    await start(stack, **SLOW_BREAKER)
    error = {"error": {"code": status, "message": said}}
    stack.simulator.script([{"kind": "status", "status": status, "body": error, "times": "always"}], model=MODEL)
    async with stack.client("ann") as ann, stack.client("bob") as bob:
        refused = [await run(ann), await run(bob)]
        assert (await run(ann, model=OTHER)).state is JobState.SUCCEEDED
    assert [job.error.code for job in refused if job.error] == [code, code]
    assert [len(job.attempts) for job in refused] == [1, 0]


async def test_an_outage_of_all_owners_opens_the_breaker_and_is_waited_for(stack: Stack) -> None:
    await start(stack, BREAKER_SECONDS="2", RETRY_SECONDS="0.05")
    stack.simulator.script([{"kind": "dead", "how": "status", "for": 4, "times": "always"}], model=MODEL)
    clients = [stack.client(f"owner-{number}") for number in range(6)]
    try:
        for client in clients:
            await client.__aenter__()
        jobs = await asyncio.gather(*(run(client) for client in clients), seconds_of(clients[0], model=OTHER))
    finally:
        for client in clients:
            await client.__aexit__(None, None, None)
    *waited, seconds = jobs
    assert {job.state for job in waited if isinstance(job, Job)} == {JobState.SUCCEEDED}
    assert isinstance(seconds, float)
    assert seconds < 4
    failures = [call for call in stack.simulator.ledger if call.status == 503]
    assert 5 <= len(failures) <= 5 + len(clients) - 1 + 2  # the last of the row, what was under way, and probes


async def test_each_image_has_its_own_calls(stack: Stack) -> None:
    await start(stack, RETRY_SECONDS="0.01", CALLS_PER_IMAGE="5")
    stack.simulator.script([{"kind": "ok", "times": 3}, {"kind": "status", "status": 502, "times": "always"}])
    async with stack.client() as darkroom:
        job = await run(darkroom, count=4)
    assert (job.state, job.progress.done) == (JobState.SUCCEEDED, 3)
    assert job.error is not None
    assert job.error.code == "provider_down"
    calls = Counter(attempt.index for attempt in job.attempts)
    assert sorted(calls.values()) == [1, 1, 1, 5]
    assert sum(calls_of(stack).values()) == len(job.attempts) == 8


async def test_an_account_without_quota_is_asked_once_and_one_with_too_little_says_the_cure(stack: Stack) -> None:
    await start(stack, **SLOW_BREAKER)
    quota = {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}
    few = "This request requires more credits, or fewer max_tokens. You requested 64000, but can only afford 12."
    stack.simulator.script([{"kind": "status", "status": 429, "body": quota}], model=OTHER)
    stack.simulator.script([{"kind": "status", "status": 402, "body": {"error": {"code": 402, "message": few}}}])
    async with stack.client() as darkroom:
        empty, dear, good = [await run(darkroom, model=model) for model in (OTHER, MODEL, MODEL)]
    assert empty.error is not None
    assert dear.error is not None
    assert (empty.error.code, len(empty.attempts)) == ("provider_credits", 1)
    assert (dear.error.code, [call.outcome for call in dear.attempts]) == ("provider_too_dear", [Outcome.UNUSABLE])
    assert "fewer max_tokens" in dear.error.detail
    assert good.state is JobState.SUCCEEDED  # it closes nothing
