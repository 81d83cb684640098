"""Room in the media directory: may we write there, and how much; by writing, and without it. Blocking."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

from contract.artifacts.artifact_store import StorageRoom

LEAST = 2**20  # bytes: an image of 1K has as many
ROOM = "Make room there."


def prepare(folder: Path) -> None:
    """Make a directory if need be, and store in it as an image is stored. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".darkroom-", dir=folder) as inner:
        probe = Path(inner, "probe")
        probe.touch()
        Path(inner, "link").hardlink_to(probe)  # without hard links nothing can be completed


def disk_space_of(folder: Path) -> StorageRoom:
    """Look at a directory, or at where it would be made."""
    is_there, at = folder.exists(), folder
    while not at.exists():
        at = at.parent
    free = shutil.disk_usage(at).free
    if not os.access(at, os.W_OK | os.X_OK):
        return StorageRoom(free, "cannot be written to", is_there, _mend_of(at))
    if free < LEAST:
        return StorageRoom(free, "has no room left: its disk is full", is_there, ROOM)
    return StorageRoom(free, is_there=is_there)


def check_disk_space(folder: Path) -> StorageRoom:
    """Write as much as an image has into a directory that is there, and take it away again."""
    room = disk_space_of(folder)
    if room.problem or not room.is_there:
        return room
    try:
        with TemporaryFile(dir=folder) as file:
            file.write(bytes(LEAST))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        hint = ROOM if error.errno in (errno.ENOSPC, errno.EDQUOT) else _mend_of(folder)
        return StorageRoom(room.free, f"cannot be written to: {error.strerror}", hint=hint)
    return room


def _mend_of(folder: Path) -> str:
    """Say how a directory can be written to again."""
    if not folder.is_dir():
        return f"Put a directory in place of the file {folder}."
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return f"Mount the file system of {folder} writable."
    return f"Give Darkroom's user write access to {folder}."
