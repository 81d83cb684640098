"""Finding and reading what lies in the media directory; blocking, so use a thread."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import os
from pathlib import Path, PurePosixPath
from stat import S_ISREG
from typing import BinaryIO

from contract.artifacts.artifact_store import StoredImage
from contract.artifacts.sidecar import Sidecar
from contract.errors.catalogue.request import ARTIFACT_NOT_FOUND
from contract.errors.exceptions import Refused

_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


def find_image(media: Path, save_dir: str, artifact: str) -> Path | None:
    """Find the image of an artifact id in any day's directory, also of one that nanobot itself made."""
    for sidecar in (media / save_dir).glob(f"????-??-??/{artifact}.json"):
        try:
            return sidecar.parent / PurePosixPath(json.loads(sidecar.read_bytes())["path"]).name
        except (OSError, ValueError, TypeError, KeyError):
            continue
    return None


def read_record(image: Path) -> Sidecar:
    """Read the sidecar of one of our images. Raises Refused (`artifact_not_found`) when it has none."""
    try:
        return Sidecar.model_validate_json(image.with_suffix(".json").read_bytes())
    except (OSError, ValueError) as error:
        raise Refused(ARTIFACT_NOT_FOUND) from error


def read_sidecar(path: Path) -> Sidecar | None:
    """Read one of our sidecars if its image is whole; None for anything less."""
    try:
        sidecar = Sidecar.model_validate_json(path.read_bytes())
        data = Path(sidecar.path).read_bytes()
    except (OSError, ValueError):  # ValueError: no sidecar of ours, or a path with NUL
        return None
    return sidecar if hashlib.sha256(data).hexdigest() == sidecar.sha256 else None


def look_at(image: Path) -> StoredImage | None:
    """Look at an image; None when it is not there, or is no file."""
    try:
        status = image.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return StoredImage(status.st_size, status.st_mtime) if S_ISREG(status.st_mode) else None


class OpenFile:
    """An image whose file is open: an OpenImage."""

    def __init__(self, file: BinaryIO, status: os.stat_result) -> None:
        self.file = file
        self.stored = StoredImage(status.st_size, status.st_mtime)

    async def read(self, *, first: int = 0, most: int | None = None) -> bytes:
        """Read all of it, or `most` bytes from the `first` on."""
        wanted = max(0, self.stored.bytes - first) if most is None else most
        return await asyncio.to_thread(os.pread, self.file.fileno(), wanted, first)

    async def close(self) -> None:
        """Close the file."""
        self.file.close()


def open_image(image: Path) -> OpenFile:
    """Open the file of an image. Raises FileNotFoundError, also for what is a link, or no file."""
    try:
        descriptor = os.open(image, _READ_FLAGS)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.ENOTDIR):
            raise FileNotFoundError(f"{image} is no file") from error
        raise
    status = os.fstat(descriptor)
    if not S_ISREG(status.st_mode):
        os.close(descriptor)
        raise FileNotFoundError(f"{image} is no file")
    return OpenFile(os.fdopen(descriptor, "rb"), status)
