"""One child decodes for all: whoever sends many images makes nobody else wait for more than one or two of them."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from PIL import Image

from tests.support.stack.shared_stack import SharedStack, fresh

pytestmark = [pytest.mark.real_redis, pytest.mark.asyncio(loop_scope="module")]
MANY = 24
SIDE = 6000  # 36 megapixels of one colour: few bytes to send, much to decode


@pytest.fixture(scope="module")
def large() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), "navy").save(file, "WEBP", lossless=True, method=0)
    return file.getvalue()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(shared_stack: SharedStack) -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=shared_stack.url, timeout=90, limits=limits) as client:
        yield client


async def upload(client: httpx.AsyncClient, token: str, image: bytes) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "image/webp"}
    return await client.post("/v1/uploads", content=image, headers=headers)


async def crowd(client: httpx.AsyncClient, token: str, image: bytes) -> list[asyncio.Task[httpx.Response]]:
    """Send many images at once, and wait until the first one is answered."""
    tasks = [asyncio.create_task(upload(client, token, image)) for _ in range(MANY)]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    return tasks


async def test_an_upload_and_a_thumbnail_pass_another_owners_crowd(
    client: httpx.AsyncClient, shared_stack: SharedStack, large: bytes
) -> None:
    (_, ann), (_, bob) = shared_stack.account(), shared_stack.account()
    his = {"Authorization": f"Bearer {bob}"}
    made = await client.post("/v1/jobs", json={"prompt": fresh()}, headers=his | {"Prefer": "wait=30"})
    [image] = made.json()["images"]
    sent = await crowd(client, ann, large)
    before = sum(task.done() for task in sent)
    small, uploaded = await asyncio.gather(
        client.get(image["url"], params={"thumbnail": 128}, headers=his), upload(client, bob, large)
    )
    assert (small.status_code, uploaded.status_code) == (200, 201)
    assert sum(task.done() for task in sent) - before <= 4
    assert {answer.status_code for answer in await asyncio.gather(*sent)} == {201}


async def test_images_whose_senders_have_gone_are_not_decoded(
    client: httpx.AsyncClient, shared_stack: SharedStack, large: bytes
) -> None:
    _, ann = shared_stack.account()
    began = time.monotonic()
    assert (await upload(client, ann, large)).status_code == 201
    one_s = time.monotonic() - began
    sent = await crowd(client, ann, large)
    for task in sent:
        task.cancel()
    await asyncio.wait(sent)
    began = time.monotonic()
    assert (await upload(client, ann, large)).status_code == 201
    assert time.monotonic() - began < one_s * MANY / 2


async def test_an_owner_has_so_many_waiting_at_most(
    client: httpx.AsyncClient, shared_stack: SharedStack, large: bytes
) -> None:
    _, ann = shared_stack.account()
    sent = [asyncio.create_task(upload(client, ann, large)) for _ in range(36)]
    done, waiting = await asyncio.wait(sent, return_when=asyncio.FIRST_COMPLETED)
    refused = done.pop().result()
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_images_waiting")
    assert int(refused.headers["Retry-After"]) >= 1
    for task in waiting:
        task.cancel()
