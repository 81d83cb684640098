"""Clients of several owners over the same connections: each sees and remembers its own things only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from unittest.mock import AsyncMock

import pytest
from pydantic import SecretStr

from contract.artifacts.local_directory.local_directory import LocalDirectory
from contract.artifacts.references import DecodedImage
from contract.errors.exceptions import Refused
from contract.jobs.ids import artifact_id
from contract.jobs.job import Image, Job
from contract.settings.nanobot_config import ProviderConfig
from contract.store.doorbell import Doorbell
from contract.store.keys import digest, image_key
from contract.store.worker_store import WorkerStore
from producer.client.client import Darkroom
from producer.client.owner_client import OwnerClient
from tests.support.factories.configs import some_settings
from tests.support.factories.images import picture as png
from tests.support.factories.sidecars import a_sidecar
from tests.support.stack.redis_server import RealRedis

pytestmark = pytest.mark.real_redis

UPLOAD = DecodedImage(png(), "image/png", 64, 64)


@pytest.fixture
async def ann(redis_server: RealRedis, tmp_path: Path) -> AsyncIterator[Darkroom]:
    """A person who types commands: every path may be named."""
    redis_url, providers = SecretStr(redis_server.url), {"openrouter": ProviderConfig()}
    settings = some_settings(tmp_path, providers=providers, redis_url=redis_url, keys_elsewhere=True)
    async with Darkroom(settings, owner="ann", roots=(Path("/"),)) as darkroom:
        await darkroom.connections.redis.flushall()
        yield darkroom


async def code_of(bob: OwnerClient, *references: str) -> str:
    """Submit a job with references, which must be refused."""
    with pytest.raises(Refused) as caught:
        await bob.submit(prompt="a fox", reference_images=references)
    return caught.value.code


async def test_owners_over_the_same_connections_see_only_their_own(ann: Darkroom) -> None:
    bob = ann.of("bob", names_paths=True)
    job = await ann.submit(prompt="a fox")
    await ann.recent.note("what", job)
    upload = await ann.owner_images.keep(UPLOAD)

    assert (bob.owner, ann.owner) == ("bob", "ann")
    assert bob.connections is ann.connections
    with pytest.raises(Refused, match="no such job"):
        await bob.get(job.id)
    assert await bob.list() == []
    assert await bob.recent.find("what") is None
    assert await code_of(bob, upload) == "reference_not_found"

    assert [found.id for found in await ann.list()] == [job.id]
    assert await ann.recent.find("what") == job
    assert (await ann.submit(prompt="a fox", reference_images=[upload])).request.reference_images == (upload,)


async def test_another_owner_has_no_right_that_was_not_given(ann: Darkroom, tmp_path: Path) -> None:
    path = tmp_path / "workspace" / "fox.png"
    path.parent.mkdir()
    path.write_bytes(png())
    await ann.submit(prompt="a fox", reference_images=[str(path)])
    assert await code_of(ann.of("bob", names_paths=False), str(path)) == "reference_needs_upload"
    await ann.of("bob", names_paths=True).submit(prompt="a fox", reference_images=[str(path)])


async def test_a_path_may_not_lead_to_an_image_of_somebody_else(ann: Darkroom, tmp_path: Path) -> None:
    image = tmp_path / "media" / "generated" / f"{artifact_id('ann', 0)}.png"
    image.parent.mkdir(parents=True)
    image.write_bytes(png())
    (ann.settings.workspace / "fox.png").symlink_to(image)
    await ann.connections.redis.set(image_key(image.stem), digest("ann"))
    bob = ann.of("bob", names_paths=True)
    for name in (str(image), "fox.png"):
        assert await code_of(bob, name) == "reference_outside_roots"
        await ann.of("ann", names_paths=True).submit(prompt="a fox", reference_images=[name])


async def test_those_who_share_a_chat_share_its_uploads_and_not_its_jobs(ann: Darkroom) -> None:
    bob, carl = (ann.of(name, names_paths=False, chat="chat:7") for name in ("bob", "carl"))
    upload = await bob.owner_images.keep(UPLOAD)
    job = await carl.submit(prompt="a fox", reference_images=[upload])
    with pytest.raises(Refused):
        await bob.get(job.id)
    assert await code_of(ann.of("bob", names_paths=False), upload) == "reference_not_found"


async def test_deleting_a_job_removes_all_its_images_though_the_caller_has_gone_or_one_is_stuck(
    ann: Darkroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await ann.submit(prompt="a fox", count=2)
    described = {"width": 64, "height": 64, "bytes": 1, "sha256": "", "sidecar": "", "mime": "image/png"}
    images = [Image.model_validate(described | {"id": "", "index": n, "path": f"image-{n}"}) for n in range(2)]
    removed, may_go_on, begun = [], asyncio.Event(), asyncio.Event()

    async def delete(locator: str) -> None:
        begun.set()
        await may_go_on.wait()
        removed.append(locator)
        if locator == "image-0":
            raise OSError

    async def of_the_store(*_: object, **__: object) -> Job:
        return job.model_copy(update={"images": tuple(images)})

    monkeypatch.setattr(ann.artifacts, "delete", delete)
    monkeypatch.setattr(ann.connections.store, "delete", of_the_store)
    may_go_on.set()
    with pytest.raises(OSError, match=r"^$"):
        await ann.delete(job.id)
    assert sorted(removed) == ["image-0", "image-1"]

    removed.clear()
    begun.clear()
    may_go_on.clear()
    deleting = asyncio.create_task(ann.delete(job.id))
    await begun.wait()
    deleting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await deleting
    may_go_on.set()
    async with asyncio.timeout(5):
        while len(removed) < 2:
            await asyncio.sleep(0)


@pytest.mark.parametrize("conversation", ["", "x" * 201, "\U0001f98a" * 2**20])
async def test_the_name_of_a_conversation_is_bounded_on_every_way_in(conversation: str, ann: Darkroom) -> None:
    with pytest.raises(Refused) as caught:
        await ann.submit(prompt="a fox", conversation=conversation)
    assert (caught.value.code, caught.value.place) == ("type_error", ("conversation",))
    assert await ann.list() == []
    assert (await ann.submit(prompt="a fox", conversation="x" * 200)).conversation == "x" * 200


async def test_a_deletion_that_could_not_remove_an_image_can_be_repeated(
    ann: Darkroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await ann.submit(prompt="a fox")
    worker = WorkerStore(ann.connections.redis, Doorbell())
    lease = await worker.claim(job.id, worker="w", lease_s=15)
    assert lease is not None
    name = artifact_id(job.id, 0)
    path = ann.artifacts.locator(job, f"{name}.png")
    sidecar = await ann.artifacts.put(job, a_sidecar(b"fox", id=name, path=path, job_id=job.id, index=0), b"fox")
    await worker.add_image(lease, sidecar.image())
    with monkeypatch.context() as patched:
        patched.setattr(LocalDirectory, "delete", AsyncMock(side_effect=OSError(28, "No space left on device")))
        with pytest.raises(OSError, match="No space"):
            await ann.delete(job.id)
    assert Path(path).exists()
    assert (await ann.delete(job.id)).id == job.id
    assert not Path(path).exists()
    with pytest.raises(Refused, match="no such job"):
        await ann.delete(job.id)
