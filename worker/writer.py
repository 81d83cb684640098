"""Image and sidecar to disk: both whole, or neither to be seen.

Temp file → fsync → link under its final name, image first and sidecar last, then the directory's
fsync. Linking never overwrites, so of two workers with the same artifact the first one's stands.
Directories are opened part by part without following links. Blocking calls: use a thread.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

from contract.artifacts import Sidecar, folder_parts, read_sidecar
from contract.job import Job

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Writer:
    """Stores artifacts below one media directory."""

    def __init__(self, *, media: Path, save_dir: str) -> None:
        self._media = media
        self._save_dir = save_dir

    def folder(self, job: Job) -> Path:
        """Name the directory of a job's artifacts: that of the local day it was accepted on."""
        return self._media.joinpath(*self._parts(job))

    def stored(self, job: Job, artifact: str) -> Sidecar | None:
        """Find an artifact that an earlier run of the job has completed."""
        return read_sidecar(self.folder(job) / f"{artifact}.json")

    def save(self, job: Job, sidecar: Sidecar, data: bytes | bytearray) -> Sidecar:
        """Store an image and its sidecar; answer the sidecar that stands. Raises OSError."""
        image, record = Path(sidecar.path).name, f"{sidecar.id}.json"
        text = sidecar.model_dump_json(indent=2).encode()
        with _folder(self._media, self._parts(job)) as folder:
            mine = _place(folder, image, data)
            if not mine and not _is_there(folder, record):
                # A killed worker left its image without a sidecar: nobody was told of it.
                os.unlink(image, dir_fd=folder)
                mine = _place(folder, image, data)
            if not _place(folder, record, text):
                return self._standing(job, sidecar, image if mine else None, folder)
            os.fsync(folder)
        return sidecar

    def discard(self, sidecar: Sidecar) -> None:
        """Take an artifact back whose job does not want it any more; the sidecar goes first."""
        path = Path(sidecar.path)
        for name in (path.with_suffix(".json"), path):
            name.unlink(missing_ok=True)

    def _standing(self, job: Job, sidecar: Sidecar, extra: str | None, folder: int) -> Sidecar:
        standing = self.stored(job, sidecar.id)
        if standing is None:
            raise FileExistsError(f"{sidecar.id}.json stands, but its image is not whole")
        if extra and extra != Path(standing.path).name:
            os.unlink(extra, dir_fd=folder)
        return standing

    def _parts(self, job: Job) -> tuple[str, ...]:
        return folder_parts(self._save_dir, job.created_at.astimezone())


@contextlib.contextmanager
def _folder(media: Path, parts: Sequence[str]) -> Iterator[int]:
    """Open a directory below the media directory, making what is missing, following no link."""
    media.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(media, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, mode=0o700, dir_fd=descriptor)
            inner = os.open(part, _FOLDER_FLAGS, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def _is_there(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _place(folder: int, name: str, data: bytes | bytearray) -> bool:
    """Put a whole file under a name that is still free; tell whether it was."""
    temporary = f".{name}.{secrets.token_hex(6)}.tmp"
    descriptor = os.open(temporary, _FILE_FLAGS, 0o600, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        return False
    finally:
        os.unlink(temporary, dir_fd=folder)
    return True
