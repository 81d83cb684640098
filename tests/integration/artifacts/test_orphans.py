"""Artifacts that their ended job does not list are taken back; all others stay."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis.asyncio import Redis

from contract.artifacts.local_directory.local_directory import LocalDirectory
from contract.artifacts.sidecar import Sidecar
from contract.errors.exceptions import Refused
from contract.jobs.ids import artifact_id
from contract.jobs.job import JobState
from contract.store.lease import Lease
from tests.support.factories.job_store import JobStore
from tests.support.factories.sidecars import a_sidecar
from tests.support.store.table import running
from worker.artifacts.orphans import Orphans


class Place:
    """A media directory with its writer, and what looks for strays in it."""

    def __init__(self, media: Path, store: JobStore) -> None:
        self.store = store
        self.artifacts = LocalDirectory(media=media, save_dir="generated", home=media / "home")
        self.orphans = Orphans(store, self.artifacts)

    async def start(self) -> Lease:
        """Start a job."""
        return await running(self.store)

    async def save(self, lease: Lease, index: int = 0) -> Sidecar:
        """Store an image of a job, and tell nobody."""
        job = await self.store.get(lease.job_id)
        name, data = artifact_id(job.id, index), f"{job.id} {index}".encode()
        path = self.artifacts.locator(job, f"{name}.png")
        return await self.artifacts.put(job, a_sidecar(data, id=name, path=path, job_id=job.id, index=index), data)


@pytest.fixture
def place(tmp_path: Path, store: JobStore) -> Place:
    """A media directory and an empty table."""
    return Place(tmp_path, store)


def is_there(sidecar: Sidecar) -> bool:
    """Tell whether a pair stands; half of one must not."""
    image = Path(sidecar.path)
    assert image.exists() == image.with_suffix(".json").exists()
    return image.exists()


async def test_what_a_cancelled_job_does_not_list_is_taken_back(place: Place) -> None:
    lease = await place.start()
    listed, stray = await place.save(lease, 0), await place.save(lease, 1)
    await place.store.add_image(lease, listed.image())
    await place.store.cancel(lease.job_id)
    await place.orphans.take_back()
    assert (is_there(listed), is_there(stray)) == (True, False)


async def test_what_a_failed_job_does_not_list_is_taken_back(place: Place) -> None:
    lease = await place.start()
    stray = await place.save(lease)
    await place.store.end(lease, JobState.FAILED)
    await place.orphans.take_back()
    assert not is_there(stray)


async def test_what_a_worker_stored_for_a_deleted_job_is_taken_back(place: Place) -> None:
    lease = await place.start()
    stray = await place.save(lease)
    await place.store.delete(lease.job_id, owner="ann")
    await place.orphans.take_back()
    assert not is_there(stray)


async def test_what_a_job_may_still_take_from_disk_stays(place: Place) -> None:
    running, queued = await place.start(), await place.start()
    pairs = [await place.save(running), await place.save(queued)]
    await place.store.release(queued)
    await place.orphans.take_back()
    assert all(map(is_there, pairs))


async def test_what_belongs_to_no_known_job_stays(place: Place, tmp_path: Path) -> None:
    lease = await place.start()
    forgotten = await place.save(lease)
    await place.store.end(lease, JobState.FAILED)
    await place.store.redis.delete(f"darkroom:job:{lease.job_id}")
    day = Path(forgotten.path).parent
    (day / "img_0123456789ab.json").write_text('{"id": "img_0123456789ab", "path": "made by nanobot"}')
    (day / "img_0123456789ac.json").write_text("{")
    await place.orphans.take_back()
    assert is_there(forgotten)
    assert len(list(day.glob("*.json"))) == 3


async def test_what_an_unreadable_job_may_list_stays_and_others_are_seen_to(place: Place) -> None:
    unreadable, unlisted, cancelled = [await place.start() for _ in range(3)]
    pairs = [await place.save(lease) for lease in (unreadable, unlisted, cancelled)]
    await place.store.add_image(unlisted, pairs[1].image())
    for lease in (unlisted, cancelled):
        await place.store.cancel(lease.job_id)
    await place.store.redis.hset(f"darkroom:job:{unreadable.job_id}", "request", "damaged")
    await place.store.redis.hset(f"darkroom:job:{unlisted.job_id}", "image:0", "damaged")
    await place.orphans.take_back()
    assert list(map(is_there, pairs)) == [True, True, False]


async def test_one_that_cannot_be_removed_holds_no_other_up(
    place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    leases = [await place.start() for _ in range(3)]
    strays = [await place.save(lease) for lease in leases]
    for lease in leases:
        await place.store.cancel(lease.job_id)
    for stray in strays[:2]:
        (tmp_path / "home" / "thumbnails" / f"{stray.id}-128.png").mkdir(parents=True)
    await place.orphans.take_back()
    assert not any(map(is_there, strays))
    assert sum("stays" in record.message for record in caplog.records) == 2


async def test_a_deletion_that_was_not_finished_is_finished(place: Place, redis: Redis) -> None:
    lease = await place.start()
    listed = [await place.save(lease, index) for index in range(2)]
    for sidecar in listed:
        await place.store.add_image(lease, sidecar.image())
    await place.store.end(lease, JobState.SUCCEEDED)
    await place.artifacts.put_thumbnail(listed[0].id, 128, b"small")
    await place.store.delete(lease.job_id, owner="ann")
    await place.orphans.finish_deletions()
    assert not any(map(is_there, listed))
    assert await place.artifacts.thumbnail(listed[0].id, 128) is None
    assert await redis.exists("darkroom:deleting") == 0


async def test_a_deletion_whose_image_is_stuck_is_tried_again(place: Place, tmp_path: Path, redis: Redis) -> None:
    lease = await place.start()
    listed = await place.save(lease)
    await place.store.add_image(lease, listed.image())
    await place.store.delete(lease.job_id, owner="ann")
    stuck = tmp_path / "home" / "thumbnails" / f"{listed.id}-128.png"
    stuck.mkdir(parents=True)
    await place.orphans.finish_deletions()
    assert await redis.hkeys("darkroom:deleting") == [lease.job_id]
    stuck.rmdir()
    await redis.hset("darkroom:deleting", "another", "version's")
    await place.orphans.finish_deletions()
    assert await redis.hkeys("darkroom:deleting") == ["another"]


async def test_a_repeated_deletion_is_answered_the_same_until_the_images_are_gone(place: Place) -> None:
    lease = await place.start()
    listed = await place.save(lease)
    await place.store.add_image(lease, listed.image())
    await place.store.end(lease, JobState.SUCCEEDED)
    told = [await place.store.delete(lease.job_id, owner="ann") for _ in range(2)]
    assert told[0] == told[1]
    assert [image.path for image in told[0].images] == [listed.path]
    with pytest.raises(Refused):
        await place.store.delete(lease.job_id, owner="bob")
    await place.store.end_deletion(lease.job_id)
    with pytest.raises(Refused):
        await place.store.delete(lease.job_id, owner="ann")
