"""Models whose answers bring several pictures: how many calls a job makes, and how many of them at a time."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Mapping

import httpx
import pytest

from contract.jobs.job import Job, JobState, Outcome
from tests.support.clients.mcp import DARKROOM, told, tools_at
from tests.support.stack.stack import Stack

pytestmark = pytest.mark.real_redis

THREE: dict[str, object] = {"kind": "ok", "images": 3, "seconds": 1}


async def made(stack: Stack, **fields: object) -> tuple[Job, int]:
    """Make a job; answer it and how many calls were paid for it."""
    before = len(stack.simulator.ledger)
    async with stack.client() as darkroom:
        job = await darkroom.submit(**{"prompt": "a fox", "count": 3, **fields})
        job = await darkroom.wait(job.id, timeout_s=40)
    while any(call.seconds is None for call in stack.simulator.ledger):  # until closed calls are seen to be so
        await asyncio.sleep(0.02)
    assert (job.state, len(job.images)) == (JobState.SUCCEEDED, job.request.count)
    assert len({image.sha256 for image in job.images}) == job.request.count
    return job, len(stack.simulator.ledger) - before


async def test_a_model_that_brings_three_pictures_is_called_once_for_three_images_as_soon_as_that_is_known(
    stack: Stack,
) -> None:
    await stack.start_worker()
    stack.simulator.script([{**THREE, "times": "always"}])
    _, first = await made(stack)
    job, second = await made(stack)
    assert (first, second, job.cost_usd, len(job.attempts)) == (3, 1, 0.04, 1)
    stack.stop()
    await stack.start_worker()  # which has not seen any of this
    assert [(await made(stack, count=count))[1] for count in (2, 3, 4)] == [1, 1, 2]


async def test_a_job_of_one_image_teaches_what_the_next_one_may_rely_on(stack: Stack) -> None:
    await stack.start_worker()
    stack.simulator.script([{**THREE, "times": "always"}])
    assert [(await made(stack, count=count))[1] for count in (1, 3)] == [1, 1]


async def test_a_model_that_is_configured_to_bring_three_is_called_once_from_the_first_job_on(stack: Stack) -> None:
    stack.write_config(provider="aihubmix", model="gpt-image-2-free", providers={"aihubmix": {"extraBody": {"n": 3}}})
    await stack.start_worker()
    assert [(await made(stack))[1] for _ in range(2)] == [1, 1]


TWICE = {"kind": "ok", "specimen": "good_png", "images": 2}


@pytest.mark.parametrize("before", ["nothing", "one", "three", "the same twice"])
async def test_calls_for_a_model_that_brings_one_picture_overlap(before: str, stack: Stack) -> None:
    await stack.start_worker()
    one = {"kind": "slow", "seconds": 1.5, "times": "always"}
    if before == "three":
        stack.simulator.script([{**THREE, "times": 3}, one])
        await made(stack)
        _, calls = await made(stack, count=4)  # relies on three a call, and finds out
        assert calls >= 4
    elif before != "nothing":
        stack.simulator.script([TWICE if before == "the same twice" else one])
        await made(stack, count=1)
    await stack.simulator.reset()
    stack.simulator.script([one])
    _, calls = await made(stack, count=4)
    assert (calls, stack.simulator.max_parallel) == (4, 4)


FAILURES: Mapping[str, dict[str, object]] = {
    "fails": {"kind": "status", "status": 503, "seconds": 0.5},
    "brings fewer": {"kind": "ok", "images": 1, "seconds": 0.5},
    "is refused by the limit": {"kind": "status", "status": 429, "seconds": 0.5},
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
async def test_the_other_images_are_made_at_once_when_the_first_call_does_not_bring_them(
    failure: dict[str, object], stack: Stack
) -> None:
    await stack.start_worker()
    stack.simulator.script([{**THREE, "times": 3}, failure, {"kind": "slow", "seconds": 2, "times": "always"}])
    await made(stack)
    await made(stack)
    alone, *others = stack.simulator.ledger[3:]
    assert alone.parallel == 1
    assert len(others) >= 2
    assert max(call.parallel for call in others) >= 2


async def test_images_that_wait_for_anothers_call_hold_no_place_at_the_gate(stack: Stack) -> None:
    await stack.start_worker(DARKROOM_MAX_CONCURRENCY="2")
    stack.simulator.script([{**THREE, "times": "always"}])
    await made(stack)
    await stack.simulator.reset()
    stack.simulator.script([{**THREE, "seconds": 3, "times": "always"}])
    async with asyncio.TaskGroup() as group:
        jobs = [group.create_task(made(stack)) for _ in range(2)]
    assert all(job.done() for job in jobs)
    assert (len(stack.simulator.ledger), stack.simulator.max_parallel) == (2, 2)


def command(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `darkroom …` beside the stack."""
    environment = os.environ | stack.environment | {"DARKROOM_CONFIG": str(stack.config)}
    return subprocess.run(
        [DARKROOM, *arguments, "--owner", "ann"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


async def test_pictures_that_were_paid_for_and_not_used_are_told_on_every_face(stack: Stack) -> None:
    await stack.start_worker()
    url = await stack.start_gateway()
    slowly = {"kind": "drip", "bytes": 8192, "every": 0.3}  # it has begun to come when the other one is there
    stack.simulator.script([{**slowly, "images": 3, "side": 96}, {**THREE, "side": 96}])
    job, calls = await made(stack, count=2)
    assert (calls, job.cost_usd, [attempt.unused for attempt in job.attempts]) == (2, 0.08, [2, 2])
    words = "4 more images of the answers were not used."
    assert job.warnings == (words,)
    async with stack.client() as darkroom:
        events = [(event.type, event.text) async for event in darkroom.events(job.id)]
    assert ("unused", "2 more images of the answers were not used.") in events
    assert sum("1 more image of its answer could not be used" in text for _, text in events) == 2
    token = stack.token()
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as http:
        shown = (await http.get(f"{url}/v1/jobs/{job.id}")).json()
    assert (shown["warnings"], [attempt["unused"] for attempt in shown["attempts"]]) == ([words], [2, 2])
    async with tools_at(url, token) as tools:
        assert told(await tools.call_tool("get_image_job", {"job_id": job.id}))["warnings"] == [words]
    assert words in command(stack, "status", job.id).stderr
    assert json.loads(command(stack, "status", job.id, "--json").stdout)["warnings"] == [words]


@pytest.mark.parametrize(
    ("step", "count", "unused"),
    [({"images": 3}, 1, 2), ({"images": 3, "specimen": "good_png"}, 1, 2), ({"images": 1}, 1, 0)],
    ids=["one is enough", "alike", "all are used"],
)
async def test_what_an_answer_had_beyond_what_was_asked_for_is_told_in_the_job(
    step: dict[str, object], count: int, unused: int, stack: Stack
) -> None:
    await stack.start_worker()
    stack.simulator.script([{"kind": "ok", **step}])
    job, _ = await made(stack, count=count)
    assert [attempt.unused for attempt in job.attempts] == [unused]
    assert job.warnings == (("2 more images of the answers were not used.",) if unused else ())


async def test_a_call_that_is_closed_as_its_image_is_there_keeps_the_cost_that_it_has_told(stack: Stack) -> None:
    await stack.start_worker()
    linked = {"kind": "url", "download": "hang", "seconds": 0.1}
    stack.simulator.script([linked, {"kind": "ok", "images": 2, "seconds": 1.5}])
    job, calls = await made(stack, count=2)
    outcomes = {attempt.outcome: attempt.cost_usd for attempt in job.attempts}
    assert (calls, outcomes, job.cost_usd) == (2, {Outcome.DELIVERED: 0.04, Outcome.CANCELLED: 0.04}, 0.08)
