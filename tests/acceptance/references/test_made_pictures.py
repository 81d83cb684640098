"""Each made picture as a reference and as a provider's answer: whole ones are taken and mended, others refused."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image, ImageChops, ImageStat
from simulator.pictures.corpus import SPECIMENS
from simulator.pictures.corpus_good import exif, save, scene
from simulator.providers.ledger import Call

from contract.errors.exceptions import Refused
from contract.jobs.job import JobState
from tests.support.factories.image_files import opened
from tests.support.pictures.table import FOLDER, PICTURES
from tests.support.stack.shared_stack import Account, SharedStack, fresh

pytestmark = [pytest.mark.real_redis, pytest.mark.asyncio(loop_scope="module")]

REFERENCES = [name for name, made in PICTURES.items() if made.is_taken]
REFUSED = [name for name, made in PICTURES.items() if not made.is_taken]


@pytest.fixture(scope="module")
def account(shared_stack: SharedStack) -> Account:
    """Somebody who makes all that is made here."""
    return shared_stack.account()


async def upload(stack: SharedStack, account: Account, data: bytes) -> httpx.Response:
    """Upload a file; the label says nothing."""
    headers = {"Authorization": f"Bearer {account.token}", "Content-Type": "image/jpeg"}
    async with httpx.AsyncClient(timeout=60) as client:
        return await client.post(f"{stack.url}/v1/uploads", content=data, headers=headers)


def file_of(stack: SharedStack, name: str, data: bytes) -> Path:
    """Lay a file where a job may name it."""
    path = stack.stack.settings().workspace / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path


def sent(call: Call) -> list[bytes]:
    """Decode the references that a provider got."""
    body: Any = call.body
    blocks = [block for message in body["messages"] for block in message["content"] if block["type"] == "image_url"]
    return [base64.b64decode(block["image_url"]["url"].partition(",")[2]) for block in blocks]


async def edit(stack: SharedStack, account: Account, *references: str) -> list[bytes]:
    """Make an edit; answer the references that the provider got."""
    prompt = fresh()
    async with stack.stack.client(account.owner) as darkroom:
        job = await darkroom.wait((await darkroom.submit(prompt=prompt, reference_images=list(references))).id)
    assert job.state is JobState.SUCCEEDED, job.error
    [call] = stack.calls(prompt)
    return sent(call)


def looks_like(picture: Image.Image, other: Image.Image) -> bool:
    """Compare two pictures of one size as people would."""
    assert picture.size == other.size
    return max(ImageStat.Stat(ImageChops.difference(picture.convert("RGB"), other.convert("RGB"))).mean) < 16


@pytest.mark.parametrize("name", REFERENCES)
async def test_a_whole_picture_is_sent_as_people_see_it(name: str, account: Account, shared_stack: SharedStack) -> None:
    data = (FOLDER / name).read_bytes()
    kept = (await upload(shared_stack, account, data)).raise_for_status().json()
    assert (kept["mime"], kept["width"], kept["height"]) == (PICTURES[name].reference, 96, 64)
    by_upload, by_path = await edit(shared_stack, account, kept["id"], str(file_of(shared_stack, name, data)))
    assert by_upload == by_path
    assert len(by_upload) == kept["bytes"]
    picture = opened(by_upload)
    assert (picture.size, dict(picture.getexif())) == ((96, 64), {})
    assert looks_like(picture, scene((96, 64))) or "see_through" in name


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_cut_or_damaged_is_no_reference(name: str, account: Account, shared_stack: SharedStack) -> None:
    data = (FOLDER / name).read_bytes()
    answer = await upload(shared_stack, account, data)
    assert (answer.status_code, answer.json()["code"]) == (422, PICTURES[name].reference)
    async with shared_stack.stack.client(account.owner) as darkroom:
        with pytest.raises(Refused) as caught:
            await darkroom.submit(prompt="a fox", reference_images=[str(file_of(shared_stack, name, data))])
    assert caught.value.code == "reference_not_an_image"


async def answered(name: str, stack: SharedStack, account: Account) -> str:
    """Have a provider answer with a picture; tell the type of what is stored, or the error."""
    prompt = fresh()
    stack.stack.simulator.script([{"kind": "ok", "specimen": name, "times": "always"}], match=prompt)
    async with stack.stack.client(account.owner) as darkroom:
        job = await darkroom.wait((await darkroom.submit(prompt=prompt, fallback="none")).id)
    if job.error:
        return job.error.code
    [image] = job.images
    assert set(opened(Path(image.path).read_bytes()).size) == {96, 64}
    return image.mime if len(stack.calls(prompt)) == 1 else "paid twice"


async def test_as_answers_they_are_stored_whole_or_not_at_all(
    account: Account, shared_stack: SharedStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in PICTURES:
        monkeypatch.setitem(SPECIMENS, name, (FOLDER / name).read_bytes)
    found = await asyncio.gather(*(answered(name, shared_stack, account) for name in PICTURES))
    assert dict(zip(PICTURES, found, strict=True)) == {name: made.answer for name, made in PICTURES.items()}


async def test_a_photo_of_48_megapixels_is_made_smaller(account: Account, shared_stack: SharedStack) -> None:
    data = save(scene((40, 30)).resize((8000, 6000)), "JPEG", quality=20, exif=exif(orientation=6))
    assert len(data) < 2**20
    kept = (await upload(shared_stack, account, data)).raise_for_status().json()
    assert (kept["mime"], kept["width"], kept["height"]) == ("image/jpeg", 3072, 4096)
    [picture] = map(opened, await edit(shared_stack, account, kept["id"]))
    assert picture.size == (3072, 4096)


@pytest.mark.parametrize(
    ("name", "limit"),
    [("bomb_9000", "64 megapixels"), ("claims_1x1000000", "16384 pixels a side"), ("webp_800_mpx", "100 megapixels")],
)
async def test_the_limit_that_refuses_is_named(
    name: str, limit: str, account: Account, shared_stack: SharedStack
) -> None:
    data = SPECIMENS[name]()
    answer = await upload(shared_stack, account, data)
    assert (answer.status_code, answer.json()["code"]) == (422, "upload_image_too_large")
    assert limit in answer.json()["detail"]
    async with shared_stack.stack.client(account.owner) as darkroom:
        with pytest.raises(Refused, match=limit) as caught:
            await darkroom.submit(prompt="a fox", reference_images=[str(file_of(shared_stack, name, data))])
    assert caught.value.code == "reference_too_large"
