"""What was delivered is measured, and a picture that is far from the request is told to be so, wherever it is shown."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.support.clients.mcp import told, tools_at
from tests.support.stack.shared_stack import MODEL, Account, SharedStack, fresh

pytestmark = [pytest.mark.real_redis, pytest.mark.asyncio(loop_scope="module")]

TINY = {"kind": "ok", "width": 256, "height": 256}
WIDEST = {"aspect_ratio": "21:9", "image_size": "4K"}
REASON = "openrouter made 256x256 pixels instead of 4K at 21:9"
WORDS = f"Delivered at 256x256, 1:1: {REASON}"
ASKED = {"provider": "openrouter", "model": MODEL, "quality": None, "image_size": "4K", "aspect_ratio": "21:9"}
CAME = {**ASKED, "image_size": "256x256", "aspect_ratio": "1:1"}


@pytest_asyncio.fixture(loop_scope="module")
async def ann(shared_stack: SharedStack, account: Account) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a token."""
    headers = {"Authorization": f"Bearer {account.token}"}
    async with httpx.AsyncClient(base_url=f"{shared_stack.url}/v1", headers=headers, timeout=60) as ann:
        yield ann


def tiny(shared_stack: SharedStack) -> str:
    """Make a prompt for which the provider makes a square of 256 pixels, whatever it is asked for."""
    shared_stack.stack.simulator.script([TINY], match=(prompt := fresh()))
    return prompt


async def job_of(ann: httpx.AsyncClient, prompt: str, **fields: object) -> dict[str, Any]:
    answer = await ann.post("/jobs", json={"prompt": prompt, **fields}, headers={"Prefer": "wait=30"})
    job: dict[str, Any] = answer.raise_for_status().json()
    assert job["state"] == "succeeded"
    return job


async def test_a_tiny_square_for_4k_at_21_to_9_is_told_by_the_job_and_its_sidecar(
    shared_stack: SharedStack, ann: httpx.AsyncClient
) -> None:
    job = await job_of(ann, tiny(shared_stack), **WIDEST)
    [image] = job["images"]
    assert job["degraded"] == image["degraded"] == {"requested": ASKED, "delivered": CAME, "reason": REASON}
    sidecar = (await ann.get(f"/artifacts/{image['id']}/sidecar")).json()
    assert (sidecar["requested"], sidecar["delivered"], sidecar["degraded"]) == (ASKED, CAME, REASON)


@pytest.mark.parametrize(
    ("fields", "delivered"),
    [
        ({}, ("1K", "1:1")),
        ({"aspect_ratio": "16:9", "image_size": "2K"}, ("2K", "16:9")),
        ({"image_size": "1536x1024"}, ("1536x1024", "3:2")),
        ({"image_size": "0.5K"}, ("1K", "1:1")),
        ({"aspect_ratio": "9:19.5"}, ("1K", "9:19.5")),
        ({"aspect_ratio": "20:9"}, ("1K", "20:9")),
    ],
)
async def test_a_picture_as_asked_for_is_not_degraded(
    ann: httpx.AsyncClient, fields: dict[str, object], delivered: tuple[str, str]
) -> None:
    job = await job_of(ann, fresh(), **fields)
    [image] = job["images"]
    sidecar = (await ann.get(f"/artifacts/{image['id']}/sidecar")).json()
    assert (job["degraded"], sidecar["degraded"]) == (None, None)
    assert (sidecar["delivered"]["image_size"], sidecar["delivered"]["aspect_ratio"]) == delivered


@pytest.mark.parametrize(
    ("fields", "image_config"),
    [
        ({"image_size": "1536x1024"}, {"aspect_ratio": "3:2", "image_size": "1K"}),
        ({"image_size": "512"}, {"aspect_ratio": "1:1", "image_size": "1K"}),
        ({"image_size": "3840x2160", "aspect_ratio": "auto"}, {"aspect_ratio": "16:9", "image_size": "4K"}),
    ],
)
async def test_openrouter_is_asked_in_its_own_vocabulary(
    shared_stack: SharedStack, ann: httpx.AsyncClient, fields: dict[str, object], image_config: dict[str, str]
) -> None:
    await job_of(ann, prompt := fresh(), **fields)
    [call] = shared_stack.calls(prompt)
    assert (call.body or {})["image_config"] == image_config


@pytest.mark.parametrize("is_stream", [False, True])
async def test_openais_answer_says_so(shared_stack: SharedStack, ann: httpx.AsyncClient, is_stream: bool) -> None:
    body = {"prompt": tiny(shared_stack), "stream": is_stream, **WIDEST}
    answer = (await ann.post("/images/generations", json=body)).raise_for_status()
    if is_stream:
        lines = [line for line in answer.text.splitlines() if line.startswith("data: ")]
        [answered] = [json.loads(line.removeprefix("data: ")) for line in lines]
    else:
        answered = answer.json()
    assert (answered["size"], answered["darkroom"]["degraded"]) == ("256x256", WORDS)


async def test_modelscopes_task_says_so(shared_stack: SharedStack, ann: httpx.AsyncClient) -> None:
    headers = {"X-ModelScope-Async-Mode": "true"}
    body = {"prompt": tiny(shared_stack), "model": MODEL, **WIDEST}
    task = (await ann.post("/images/generations", json=body, headers=headers)).raise_for_status().json()
    assert (await ann.get(f"/tasks/{task['task_id']}")).json()["darkroom"]["degraded"] == WORDS


async def test_an_mcp_tool_says_so(shared_stack: SharedStack, account: Account) -> None:
    async with tools_at(shared_stack.url, account.token) as tools:
        answer = told(await tools.call_tool("generate_image", {"prompt": tiny(shared_stack), **WIDEST}))
    assert answer["message"] == f"1 of 1 image made. {WORDS}."
