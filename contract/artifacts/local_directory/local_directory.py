"""The media directory as an artifact store; blocking work goes to threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path

from contract.artifacts.artifact_store import StorageRoom, StoredImage
from contract.artifacts.atomic_file import temporary_name
from contract.artifacts.local_directory.cleanup import Cleanup
from contract.artifacts.local_directory.derived_files import ReferenceFolder, ThumbnailFolder
from contract.artifacts.local_directory.disk import check_disk_space, disk_space_of, prepare
from contract.artifacts.local_directory.lookup import OpenFile, find_image, look_at, open_image, read_record
from contract.artifacts.local_directory.marker import make_marker, read_marker
from contract.artifacts.local_directory.pair_writer import PairWriter
from contract.artifacts.sidecar import Sidecar
from contract.jobs.ids import is_artifact_id
from contract.jobs.job import Job


class LocalDirectory:
    """An ArtifactStore below one media directory; reference images and smaller copies lie in `home`."""

    def __init__(
        self,
        *,
        media: Path,
        save_dir: str,
        home: Path,
        job_days: int = 3,
        reach: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Use these directories; the sidecars of the last `job_days` are recent: no job lives longer.

        `reach` is told of each step of a put, for tests that kill a writer there.
        """
        self._job_days = job_days
        self._media = media
        self._save_dir = save_dir
        self._pairs = PairWriter(media=media, save_dir=save_dir, reach=reach)
        self._references = ReferenceFolder(home / "inputs")
        self._thumbnails = ThumbnailFolder(home / "thumbnails")
        self._cleanup = Cleanup(media=media, save_dir=save_dir, inputs=home / "inputs")

    def locator(self, job: Job, name: str) -> str:
        """Name the path of an image, in the directory of the local day its job was accepted on."""
        return str(self._pairs.folder(job) / name)

    async def put(self, job: Job, sidecar: Sidecar, data: bytes | bytearray) -> Sidecar:
        """Store a pair; answer the sidecar that stands."""
        return await asyncio.to_thread(self._pairs.put, job, sidecar, data)

    async def complete(self, job: Job, artifact: str) -> Sidecar | None:
        """Find a pair of a job that an earlier run has completed and that is whole still."""
        return await asyncio.to_thread(self._pairs.complete, job, artifact)

    async def salvage(self, job: Job, artifact: str) -> bytes | None:
        """Read the image of a pair that was completed, but whose sidecar cannot be read any more."""
        return await asyncio.to_thread(self._pairs.salvage, job, artifact)

    async def find(self, artifact: str) -> str | None:
        """Find the path of a complete pair by its id, also of one that nanobot itself made."""
        found = await asyncio.to_thread(find_image, self._media, self._save_dir, artifact)
        return None if found is None else str(found)

    async def sidecar(self, locator: str) -> Sidecar:
        """Read the sidecar of one of our images. Raises Refused (`artifact_not_found`)."""
        return await asyncio.to_thread(lambda: read_record(self._here(locator)))

    async def stat(self, locator: str) -> StoredImage | None:
        """Look at an image; None when it is not there."""
        return await asyncio.to_thread(lambda: look_at(self._here(locator)))

    async def open(self, locator: str) -> OpenFile:
        """Open an image. Raises FileNotFoundError."""
        return await asyncio.to_thread(lambda: open_image(self._ours(locator)))

    async def read(self, locator: str, *, most: int | None = None) -> bytes:
        """Read an image, or its first `most` bytes. Raises FileNotFoundError."""
        return await asyncio.to_thread(self._read, locator, most)

    async def local_file(self, locator: str) -> str | None:
        """Tell the path of an image if it is a file of this machine."""
        return locator if await asyncio.to_thread(Path(locator).is_file) else None

    async def delete(self, locator: str) -> None:
        """Remove a pair and its smaller copies; what lies outside of the media directory stays."""
        await asyncio.to_thread(self._delete, locator)

    async def recent(self) -> list[Sidecar]:
        """Read the sidecars of the last days."""
        return await asyncio.to_thread(self._recent)

    async def remove_incomplete(self) -> None:
        """Remove what killed writers left, once no writer can complete it any more."""
        await asyncio.to_thread(self._cleanup.remove_incomplete)

    async def thumbnail(self, artifact: str, side: int) -> bytes | None:
        """Find a smaller copy of an image."""
        return await asyncio.to_thread(self._thumbnails.find, artifact, side)

    async def put_thumbnail(self, artifact: str, side: int, data: bytes) -> None:
        """Keep a smaller copy of an image."""
        await asyncio.to_thread(self._thumbnails.put, artifact, side, data)

    async def put_reference(self, data: bytes) -> str:
        """Keep a reference image by its content; answer its SHA-256."""
        return await asyncio.to_thread(self._references.put, data)

    def reference_locator(self, sha256: str) -> str:
        """Name the path of a reference image."""
        return str(self._references.path(sha256))

    async def touch_references(self, sha256s: Sequence[str]) -> None:
        """Make kept reference images as young as new ones. Raises FileNotFoundError when one is gone."""
        await asyncio.to_thread(self._references.touch, sha256s)

    async def read_reference(self, sha256: str) -> bytes:
        """Read a reference image. Raises FileNotFoundError."""
        return await asyncio.to_thread(self._references.path(sha256).read_bytes)

    async def remove_references(self, *, age_s: float) -> None:
        """Remove the reference images that were not used for so long."""
        await asyncio.to_thread(self._cleanup.remove_references, age_s=age_s)

    async def marker(self, *, make: bool = False) -> str:
        """Tell which directory this is, by a file in it."""
        return await asyncio.to_thread(make_marker if make else read_marker, self._media)

    @property
    def place(self) -> str:
        """Name the path of the media directory."""
        return str(self._media)

    async def prepare(self) -> None:
        """Make the directory if need be, and store in it as an image is stored."""
        await asyncio.to_thread(prepare, self._media)

    async def room(self, *, by_writing: bool = False) -> StorageRoom:
        """Tell how much room there is, and whether it may be used."""
        return await asyncio.to_thread(check_disk_space if by_writing else disk_space_of, self._media)

    def _here(self, locator: str) -> Path:
        """Find one of our images also where the media directory has another path than its worker's had."""
        given = Path(locator)
        if not given.is_relative_to(self._media) and is_artifact_id(given.stem):
            return find_image(self._media, self._save_dir, given.stem) or given
        return given

    def _ours(self, locator: str) -> Path:
        """Find one of our images. Raises FileNotFoundError when it would not lie in the media directory."""
        path = self._here(locator)
        if not path.is_relative_to(self._media) or ".." in path.parts:
            raise FileNotFoundError(f"{path} is not in the media directory")
        return path

    def _read(self, locator: str, most: int | None) -> bytes:
        with closing(open_image(self._ours(locator)).file) as file:
            return file.read() if most is None else file.read(most)

    def _delete(self, locator: str) -> None:
        with suppress(FileNotFoundError):
            path = self._ours(locator)
            temporary = path.with_name(temporary_name(path.name))
            with suppress(OSError):
                temporary.hardlink_to(path)  # should we be killed halfway, the cleanup goes on
            for name in (path.with_suffix(".json"), path, temporary):
                name.unlink(missing_ok=True)
        self._thumbnails.remove(Path(locator).stem)  # last: until the pair is gone, a copy may be made anew

    def _recent(self) -> list[Sidecar]:
        days = sorted((self._media / self._save_dir).glob("????-??-??"))[-self._job_days :]
        sidecars = []
        for path in (path for day in days for path in day.glob("img_*.json")):
            with suppress(OSError, ValueError):  # ValueError: none of ours
                sidecars.append(Sidecar.model_validate_json(path.read_bytes()))
        return sidecars
