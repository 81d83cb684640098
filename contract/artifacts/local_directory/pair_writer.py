"""Image and sidecar to disk: both whole, or neither to be seen.

Both as temporary files → fsync → linked under their final names, image first and sidecar last, then the
directory's fsync. Linking never overwrites, so of two workers with the same artifact the first one's stands.
The image loses its temporary name last: by it the janitor tells what a killed worker left from anything else.
Directories are opened part by part without following links. Blocking calls: use a thread.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from contract.artifacts.atomic_file import link, temporary_file, temporary_name, unlink
from contract.artifacts.layout import folder_parts
from contract.artifacts.local_directory.folders import open_folder
from contract.artifacts.local_directory.lookup import read_sidecar
from contract.artifacts.sidecar import Sidecar
from contract.jobs.job import Job

SETTLE_S = 1.0  # between a sidecar's link and the end of its writer's work


class PairWriter:
    """Stores artifacts below one media directory."""

    def __init__(self, *, media: Path, save_dir: str, reach: Callable[[str], None] = lambda _: None) -> None:
        """Store below `media`; `reach` is told of each step, for tests that kill a writer there."""
        self._media = media
        self._save_dir = save_dir
        self._reach = reach

    def folder(self, job: Job) -> Path:
        """Name the directory of a job's artifacts: that of the local day it was accepted on."""
        return self._media.joinpath(*self._parts(job))

    def complete(self, job: Job, artifact: str) -> Sidecar | None:
        """Find an artifact that an earlier run of the job has completed."""
        return read_sidecar(self.folder(job) / f"{artifact}.json")

    def put(self, job: Job, sidecar: Sidecar, data: bytes | bytearray) -> Sidecar:
        """Store an image and its sidecar; answer the sidecar that stands. Raises OSError."""
        image, record = Path(sidecar.path).name, f"{sidecar.id}.json"
        text = sidecar.model_dump_json(indent=2).encode()
        self._reach("before_write")
        with (
            open_folder(self._media, self._parts(job), make=True) as folder,
            self._whole(folder, image, data) as picture,
            self._whole(folder, record, text) as words,
        ):
            mine = link(folder, picture, image)
            if not mine and not _is_there(folder, record):
                # A killed worker left its image without a sidecar: it was never reported.
                _clear(folder, image, record)
                mine = link(folder, picture, image)
            self._reach("after_image_link")
            if not link(folder, words, record):
                if standing := self._standing(job, sidecar, image if mine else None, folder):
                    return standing
                _clear_damaged(folder, sidecar.id)
                if not (link(folder, picture, image) and link(folder, words, record)):
                    raise FileExistsError(f"{record} was written by somebody else meanwhile")
            self._reach("after_sidecar")
            # It may have been taken for a killed worker's before its sidecar existed, and moved or replaced.
            os.replace(picture, image, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)
        return sidecar

    def salvage(self, job: Job, artifact: str) -> bytes | None:
        """Read the picture of an artifact that was completed, but whose sidecar cannot be read any more."""
        folder = self.folder(job)
        if not (folder / f"{artifact}.json").is_file():
            return None
        pictures = [path for path in folder.glob(f"{artifact}.*") if path.suffix != ".json"]
        with contextlib.suppress(OSError):
            return pictures[0].read_bytes() if len(pictures) == 1 else None
        return None

    def _standing(self, job: Job, sidecar: Sidecar, extra: str | None, folder: int) -> Sidecar | None:
        """Find the artifact that stands already; None if it was damaged, as it will never be completed."""
        until = time.monotonic() + SETTLE_S
        while (standing := self.complete(job, sidecar.id)) is None and time.monotonic() < until:
            time.sleep(0.05)  # whose sidecar stands is about to put its image back
        if standing and extra and extra != Path(standing.path).name:
            os.unlink(extra, dir_fd=folder)
        return standing

    @contextlib.contextmanager
    def _whole(self, folder: int, name: str, data: bytes | bytearray) -> Iterator[str]:
        """Write a whole file under a temporary name; one that has its own, too, keeps both after an error."""
        with temporary_file(folder, name, data, keeps_linked=True) as temporary:
            self._reach("after_tmp_write")
            yield temporary

    def _parts(self, job: Job) -> tuple[str, ...]:
        return folder_parts(self._save_dir, job.created_at.astimezone())


def _is_there(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _clear(folder: int, image: str, record: str) -> None:
    """Remove an image without a sidecar; if that has come in the last moment, the image is put back."""
    aside = temporary_name(image)
    with contextlib.suppress(FileNotFoundError):
        os.rename(image, aside, src_dir_fd=folder, dst_dir_fd=folder)
        if _is_there(folder, record):
            link(folder, aside, image)
        os.unlink(aside, dir_fd=folder)


def _clear_damaged(folder: int, artifact: str) -> None:
    """Remove an artifact that is not whole, its sidecar first."""
    names = [name for name in os.listdir(folder) if name.startswith(f"{artifact}.")]
    for name in sorted(names, key=lambda name: not name.endswith(".json")):
        unlink(folder, name)
