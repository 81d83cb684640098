"""What every artifact store does: the port's conformance suite, run on the local directory and on one in memory."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from contract.artifacts.artifact_store import ArtifactStore, StoredImage
from contract.artifacts.local_directory.local_directory import LocalDirectory
from contract.artifacts.sidecar import Sidecar
from contract.errors.exceptions import Refused
from contract.jobs.ids import artifact_id
from tests.support.artifacts.memory_store import MemoryArtifacts
from tests.support.factories.ended_job import a_job
from tests.support.factories.sidecars import a_sidecar

JOB = a_job(images=())
DATA = b"\x89PNG an image"
HOUR = 3600.0

Make = Callable[[Path], ArtifactStore]


def in_a_directory(folder: Path) -> ArtifactStore:
    """Open a store in an empty directory."""
    return LocalDirectory(media=folder / "media", save_dir="generated", home=folder / "home")


def in_memory(_: Path) -> ArtifactStore:
    """Open a store that has no paths."""
    return MemoryArtifacts()


@pytest.fixture(params=[in_a_directory, in_memory])
def make(request: pytest.FixtureRequest) -> Make:
    """One implementation of the port."""
    found: Make = request.param
    return found


@pytest.fixture
def store(make: Make, tmp_path: Path) -> ArtifactStore:
    return make(tmp_path)


def described(store: ArtifactStore, data: bytes = DATA, *, index: int = 0, extension: str = "png") -> Sidecar:
    """Describe an image of the job."""
    name = artifact_id(JOB.id, index)
    return a_sidecar(data, id=name, job_id=JOB.id, index=index, path=store.locator(JOB, f"{name}.{extension}"))


async def put(store: ArtifactStore, data: bytes = DATA, *, index: int = 0, extension: str = "png") -> Sidecar:
    return await store.put(JOB, described(store, data, index=index, extension=extension), data)


async def test_what_was_put_is_found_and_read_back(store: ArtifactStore) -> None:
    sidecar = await put(store)
    assert sidecar == described(store)
    assert await store.find(sidecar.id) == sidecar.path
    assert await store.sidecar(sidecar.path) == sidecar
    assert await store.read(sidecar.path) == DATA
    assert await store.complete(JOB, sidecar.id) == sidecar
    assert await store.recent() == [sidecar]


async def test_an_image_is_read_in_parts(store: ArtifactStore) -> None:
    sidecar = await put(store)
    image = await store.open(sidecar.path)
    assert image.stored.bytes == len(DATA)
    assert await image.read() == DATA
    assert await image.read(first=2, most=3) == DATA[2:5]
    assert await image.read(first=2) == DATA[2:]
    assert await image.read(most=999) == DATA
    assert await image.read(first=999, most=1) == await image.read(first=999) == b""
    await image.close()
    assert await store.read(sidecar.path, most=3) == DATA[:3]


async def test_an_open_image_is_read_to_its_end_though_it_is_deleted(store: ArtifactStore) -> None:
    sidecar = await put(store)
    image = await store.open(sidecar.path)
    first = await image.read(most=3)
    await store.delete(sidecar.path)
    assert first + await image.read(first=3) == DATA
    await image.close()


async def test_an_image_is_looked_at_without_being_read(store: ArtifactStore) -> None:
    sidecar = await put(store)
    found = await store.stat(sidecar.path)
    assert isinstance(found, StoredImage)
    assert (found.bytes, found.modified_at >= 0) == (len(DATA), True)


async def test_what_is_not_there_is_told_as_such(store: ArtifactStore) -> None:
    artifact = artifact_id(JOB.id, 7)
    locator = store.locator(JOB, f"{artifact}.png")
    assert await store.find(artifact) is None
    assert await store.stat(locator) is None
    assert await store.local_file(locator) is None
    assert await store.complete(JOB, artifact) is None
    assert await store.salvage(JOB, artifact) is None
    assert await store.thumbnail(artifact, 128) is None
    assert await store.recent() == []
    for asking in (store.read(locator), store.open(locator)):
        with pytest.raises(FileNotFoundError):
            await asking
    with pytest.raises(Refused) as refusal:
        await store.sidecar(locator)
    assert refusal.value.code == "artifact_not_found"


@pytest.mark.parametrize("extension", ["png", "jpg"])
async def test_of_two_pairs_with_one_id_the_first_stands(extension: str, store: ArtifactStore) -> None:
    first = await put(store)
    assert await put(store, b"another", extension=extension) == first
    assert await store.read(first.path) == DATA
    assert await store.recent() == [first]


async def test_of_many_at_the_same_time_one_stands_and_all_are_told_which(store: ArtifactStore) -> None:
    images = [b"image %d" % number for number in range(6)]
    standing = await asyncio.gather(*(put(store, data) for data in images))
    [one] = {sidecar.sha256: sidecar for sidecar in standing}.values()
    assert hashlib.sha256(await store.read(one.path)).hexdigest() == one.sha256
    assert await store.complete(JOB, one.id) == one


async def test_a_deleted_pair_is_gone_with_its_copies_and_no_other(store: ArtifactStore) -> None:
    first, second = await put(store), await put(store, index=1)
    for sidecar in (first, second):
        await store.put_thumbnail(sidecar.id, 128, DATA)
    for _ in range(2):
        await store.delete(first.path)
        assert await store.find(first.id) is None
        assert await store.stat(first.path) is None
        assert await store.thumbnail(first.id, 128) is None
    assert await store.complete(JOB, second.id) == second
    assert await store.thumbnail(second.id, 128) == DATA
    again = await put(store, b"another")
    assert await store.read(again.path) == b"another"


async def test_a_locator_of_a_process_that_sees_the_store_elsewhere_is_good(store: ArtifactStore) -> None:
    sidecar = await put(store)
    elsewhere = f"/mnt/worker/media/generated/2026-01-01/{sidecar.id}.png"
    assert await store.sidecar(elsewhere) == sidecar
    assert await store.read(elsewhere) == DATA
    await store.delete(elsewhere)
    assert await store.find(sidecar.id) is None


@pytest.mark.parametrize("locator", ["/etc/hostname", "../../etc/hostname", "", "x" * 300])
async def test_no_other_file_is_read_or_removed(locator: str, store: ArtifactStore) -> None:
    with pytest.raises(OSError, match=r".*"):
        await store.read(locator)
    await store.delete(locator)
    assert Path("/etc/hostname").exists()


async def test_a_local_file_can_be_opened(store: ArtifactStore) -> None:
    sidecar = await put(store)
    path = await store.local_file(sidecar.path)
    assert path is None or Path(path).read_bytes() == DATA


async def test_cleaning_up_touches_no_complete_pair(store: ArtifactStore) -> None:
    sidecar = await put(store)
    await store.remove_incomplete()
    assert await store.complete(JOB, sidecar.id) == sidecar


async def test_a_thumbnail_is_kept_for_each_side(store: ArtifactStore) -> None:
    sidecar = await put(store)
    await store.put_thumbnail(sidecar.id, 128, b"\x89PNG small")
    await store.put_thumbnail(sidecar.id, 1024, b"\xff\xd8\xff large")
    assert await store.thumbnail(sidecar.id, 128) == b"\x89PNG small"
    assert await store.thumbnail(sidecar.id, 1024) == b"\xff\xd8\xff large"
    assert await store.thumbnail(sidecar.id, 12) is None


async def test_a_reference_is_kept_by_its_content(store: ArtifactStore) -> None:
    sha256 = await store.put_reference(DATA)
    assert sha256 == hashlib.sha256(DATA).hexdigest() == await store.put_reference(DATA)
    assert await store.read_reference(sha256) == DATA
    assert sha256 in store.reference_locator(sha256)
    await store.touch_references([sha256])
    await store.remove_references(age_s=HOUR)
    assert await store.read_reference(sha256) == DATA


async def test_an_old_reference_is_removed(store: ArtifactStore) -> None:
    sha256 = await store.put_reference(DATA)
    await store.remove_references(age_s=-HOUR)
    for asking in (store.read_reference(sha256), store.touch_references([sha256])):
        with pytest.raises(FileNotFoundError):
            await asking


async def test_a_store_is_known_by_its_mark(make: Make, tmp_path: Path) -> None:
    (tmp_path / "one" / "media").mkdir(parents=True)
    (tmp_path / "other" / "media").mkdir(parents=True)
    one, other = make(tmp_path / "one"), make(tmp_path / "other")
    assert await one.marker() == ""
    mark = await one.marker(make=True)
    assert mark
    assert mark == await one.marker() == await one.marker(make=True)
    assert await other.marker(make=True) != mark


async def test_a_store_that_was_prepared_has_room(store: ArtifactStore) -> None:
    await store.prepare()
    for by_writing in (False, True):
        room = await store.room(by_writing=by_writing)
        assert (room.problem, room.is_there, room.free > 0) == ("", True, True)
    assert store.place
    assert await store.recent() == []
