"""The disk: an owner's uploads have so many bytes together, and some room stays free."""

from __future__ import annotations

import io
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.support.factories.images import picture
from tests.support.stack.shared_stack import SharedStack, fresh

pytestmark = [pytest.mark.real_redis, pytest.mark.asyncio(loop_scope="module")]
SIDE = 900  # pixels of noise, a byte each


def noise() -> bytes:
    file = io.BytesIO()
    Image.effect_noise((SIDE, SIDE), 90).save(file, "PNG")
    return file.getvalue()


async def upload(client: httpx.AsyncClient, token: str, image: bytes) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "image/png"}
    return await client.post("/v1/uploads", content=image, headers=headers)


def kept(shared_stack: SharedStack) -> set[Path]:
    return set((shared_stack.stack.settings().home / "inputs").glob("*"))


async def test_uploads_of_an_owner_have_so_many_bytes_together(shared_stack: SharedStack) -> None:
    (_, ann), (_, bob) = shared_stack.account(), shared_stack.account()
    url = await shared_stack.stack.start_gateway(DARKROOM_MAX_UPLOAD_MB_PER_OWNER="1")
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        first, second = noise(), noise()
        assert (await upload(client, ann, first)).status_code == 201
        before = kept(shared_stack)
        refused = await upload(client, ann, second)
        assert (refused.status_code, refused.json()["code"]) == (429, "uploads_too_large")
        assert int(refused.headers["Retry-After"]) > 86_000
        assert kept(shared_stack) == before  # what is refused takes no room
        assert (await upload(client, ann, first)).status_code == 201
        assert (await upload(client, bob, second)).status_code == 201


async def test_nothing_new_is_accepted_while_the_disk_is_almost_full(shared_stack: SharedStack) -> None:
    _, ann = shared_stack.account()
    his = {"Authorization": f"Bearer {ann}"}
    url = await shared_stack.stack.start_gateway(DARKROOM_LEAST_FREE_MB=str(10**9))
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        submitted = await client.post("/v1/jobs", json={"prompt": fresh()}, headers=his)
        for refused in (submitted, await upload(client, ann, picture())):
            assert (refused.status_code, refused.json()["code"]) == (503, "storage_low")
            assert int(refused.headers["Retry-After"]) >= 1
        assert (await client.get("/v1/jobs", headers=his)).json()["jobs"] == []
