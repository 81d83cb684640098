"""Interim pictures that vendors mark as such: they are never the result, and no image is made of them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from contract.jobs.job import Job, JobState
from tests.support.factories.images import picture
from tests.support.stack.stack import Stack

pytestmark = pytest.mark.real_redis

Json = dict[str, object]
Wrap = Callable[..., Json]
DRAFT, FINAL, OTHER = (picture(side) for side in (300, 96, 97))  # the draft is the longest of them
ASIDE: Json = {"thought": True}
RESULT: Json = {}
MODELS = {"openrouter": "a/b", "aihubmix": "gpt-image-2-free"}


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def openrouter(*pictures: tuple[bytes, Json], **choice: object) -> Json:
    images = [
        {"type": "image_url", "image_url": {"url": f"data:;base64,{text(data)}"}, **more} for data, more in pictures
    ]
    return {"choices": [{"message": {"content": "", "images": images}, **choice}], "usage": {"cost": 0.04}}


def aihubmix(*pictures: tuple[bytes, Json], **more: object) -> Json:
    output = [{"bytesBase64": text(data), **marks} for data, marks in pictures]
    return {"output": output, "usage": {"cost": 0.04}, **more}


WRAPS: dict[str, Wrap] = {"openrouter": openrouter, "aihubmix": aihubmix}
every_provider = pytest.mark.parametrize("provider", WRAPS)


async def made(stack: Stack, provider: str, *bodies: object, count: int = 1) -> Job:
    """Make a job of which the provider answers the calls with these bodies, the last one again and again."""
    stack.write_config(provider=provider, model=MODELS[provider])
    await stack.start_worker()
    steps = [{"kind": "status", "status": 200, "body": body, "seconds": 0.1} for body in bodies]
    stack.simulator.script([*steps[:-1], {**steps[-1], "times": "always"}])
    async with stack.client() as darkroom:
        job = await darkroom.submit(prompt="a fox", count=count, fallback="none")
        return await darkroom.wait(job.id, timeout_s=40)


def stored(job: Job) -> list[bytes]:
    return [Path(image.path).read_bytes() for image in job.images]


@every_provider
@pytest.mark.parametrize("mark", [ASIDE, {"draft": True}, {"partial": True}, {"partial_image_index": 0}], ids=str)
async def test_a_draft_is_left_aside_wherever_it_stands(mark: Json, provider: str, stack: Stack) -> None:
    pictures = [(DRAFT, mark), (FINAL, RESULT)]
    wrap = WRAPS[provider]
    job = await made(stack, provider, wrap(*pictures))
    assert (stored(job), job.cost_usd, job.warnings) == ([FINAL], 0.04, ())


@every_provider
async def test_no_image_of_a_job_is_made_of_a_draft(provider: str, stack: Stack) -> None:
    wrap = WRAPS[provider]
    job = await made(
        stack, provider, wrap((DRAFT, ASIDE), (FINAL, RESULT)), wrap((OTHER, RESULT), (DRAFT, ASIDE)), count=2
    )
    assert (job.state, sorted(stored(job), key=len)) == (JobState.SUCCEEDED, sorted([FINAL, OTHER], key=len))
    assert len(stack.simulator.ledger) == 2


@every_provider
async def test_an_answer_with_nothing_but_a_draft_is_one_without_an_image(provider: str, stack: Stack) -> None:
    job = await made(stack, provider, WRAPS[provider]((DRAFT, ASIDE)))
    assert job.error is not None
    assert (job.state, job.error.code, len(stack.simulator.ledger)) == (JobState.FAILED, "no_image", 2)
    assert job.cost_usd == 0.08


async def test_a_draft_beside_a_refusal_is_no_picture(stack: Stack) -> None:
    refused = openrouter((DRAFT, ASIDE), native_finish_reason="IMAGE_SAFETY")
    job = await made(stack, "openrouter", refused)
    assert job.error is not None
    assert (job.state, job.error.code, len(stack.simulator.ledger)) == (JobState.FAILED, "content_refused", 1)


async def test_of_a_stream_that_nobody_asked_for_the_last_picture_counts(stack: Stack) -> None:
    partial = {"type": "image_generation.partial_image", "partial_image_index": 0, "b64_json": text(DRAFT)}
    completed = {"type": "image_generation.completed", "b64_json": text(FINAL)}
    lines = [f"event: {event['type']}\ndata: {json.dumps(event)}\n" for event in (partial, completed)]
    job = await made(stack, "aihubmix", "\n".join([*lines, "data: [DONE]\n"]))
    assert (stored(job), len(stack.simulator.ledger)) == ([FINAL], 1)
