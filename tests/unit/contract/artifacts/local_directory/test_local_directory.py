"""What only a directory can meet: links, pipes and files that cannot be removed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from contract.artifacts.local_directory.local_directory import LocalDirectory
from contract.artifacts.sidecar import Sidecar
from contract.jobs.ids import artifact_id
from contract.settings.artifact_storage import open_artifact_store
from contract.settings.environment import Environment
from contract.settings.loader import Settings
from contract.settings.nanobot_config import ImageGeneration
from tests.support.factories.ended_job import a_job
from tests.support.factories.sidecars import a_sidecar

JOB = a_job(images=())
DATA = b"an image"


@pytest.fixture
def store(tmp_path: Path) -> LocalDirectory:
    return LocalDirectory(media=tmp_path / "media", save_dir="generated", home=tmp_path / "home")


@pytest.fixture
async def sidecar(store: LocalDirectory) -> Sidecar:
    name = artifact_id(JOB.id, 0)
    described = a_sidecar(DATA, id=name, job_id=JOB.id, index=0, path=store.locator(JOB, f"{name}.png"))
    return await store.put(JOB, described, DATA)


async def is_told_as_missing(store: LocalDirectory, locator: str) -> bool:
    for asking in (store.read(locator), store.open(locator)):
        with pytest.raises(FileNotFoundError):
            await asking
    return await store.stat(locator) is None


async def test_an_image_that_was_replaced_by_a_link_is_missing(
    store: LocalDirectory, sidecar: Sidecar, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    Path(sidecar.path).unlink()
    Path(sidecar.path).symlink_to(tmp_path / "secret")
    assert await is_told_as_missing(store, sidecar.path)


async def test_an_image_that_was_replaced_by_a_pipe_is_missing_and_holds_no_thread(
    store: LocalDirectory, sidecar: Sidecar
) -> None:
    Path(sidecar.path).unlink()
    os.mkfifo(sidecar.path)
    assert await is_told_as_missing(store, sidecar.path)


async def test_an_image_that_was_replaced_by_a_folder_is_missing(store: LocalDirectory, sidecar: Sidecar) -> None:
    Path(sidecar.path).unlink()
    Path(sidecar.path).mkdir()
    assert await is_told_as_missing(store, sidecar.path)


async def test_a_day_that_was_moved_to_another_disk_is_read_over_its_link(
    store: LocalDirectory, sidecar: Sidecar, tmp_path: Path
) -> None:
    day = Path(sidecar.path).parent
    day.rename(tmp_path / "moved")
    day.symlink_to(tmp_path / "moved")
    assert await store.read(sidecar.path) == DATA
    assert await store.find(sidecar.id) == sidecar.path
    found = await store.stat(sidecar.path)
    assert found is not None
    assert found.bytes == len(DATA)


async def test_a_copy_that_cannot_be_removed_keeps_no_pair(
    store: LocalDirectory, sidecar: Sidecar, tmp_path: Path
) -> None:
    (tmp_path / "home" / "thumbnails" / f"{sidecar.id}-128.png").mkdir(parents=True)
    with pytest.raises(OSError, match=r".*"):
        await store.delete(sidecar.path)
    assert await store.find(sidecar.id) is None
    assert not Path(sidecar.path).exists()


async def test_recent_are_the_days_that_a_job_may_live(tmp_path: Path) -> None:
    settings = Settings(
        config_path=tmp_path / "config.json",
        image=ImageGeneration(),
        providers={},
        workspace=tmp_path / "workspace",
        env=Environment(queue_seconds=5 * 86400),
    )
    store = open_artifact_store(settings)
    days = [f"2026-03-{day:02}" for day in range(1, 11)]
    for number, day in enumerate(days):
        name = artifact_id(JOB.id, number)
        folder = tmp_path / "media" / "generated" / day
        folder.mkdir(parents=True)
        described = a_sidecar(DATA, id=name, job_id=JOB.id, index=number, path=str(folder / f"{name}.png"))
        (folder / f"{name}.json").write_text(described.model_dump_json())
    assert [Path(sidecar.path).parent.name for sidecar in await store.recent()] == days[-8:]
