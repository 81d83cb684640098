"""Room in the media directory: may we write there, and how much; by writing, and without it."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

LEAST = 2**20  # bytes: an image of 1K has as many
LOW = 2**30
ROOM = "Make room there."


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """What is free in a directory; where nothing can be stored `problem` says why, and `hint` what to do."""

    free: int
    problem: str = ""
    is_there: bool = True
    hint: str = ""

    @property
    def words(self) -> str:
        """Tell how much is free."""
        return f"{self.free / 2**30:.1f} GB free" if self.free >= LOW else f"{self.free / 2**20:.0f} MB free"


def disk_space_of(folder: Path) -> DiskSpace:
    """Look at a directory, or at where it would be made; blocking."""
    is_there, at = folder.exists(), folder
    while not at.exists():
        at = at.parent
    if not os.access(at, os.W_OK | os.X_OK):
        return DiskSpace(0, "cannot be written to", is_there, _mend_of(at))
    free = shutil.disk_usage(at).free
    if free < LEAST:
        return DiskSpace(free, "has no room left: its disk is full", is_there, ROOM)
    return DiskSpace(free, is_there=is_there)


def check_disk_space(folder: Path) -> DiskSpace:
    """Write as much as an image has into a directory that is there, and take it away again; blocking."""
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
        return DiskSpace(room.free, f"cannot be written to: {error.strerror}", hint=hint)
    return room


def _mend_of(folder: Path) -> str:
    """Say how a directory can be written to again."""
    if not folder.is_dir():
        return f"Put a directory in place of the file {folder}."
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return f"Mount the file system of {folder} writable."
    return f"Give Darkroom's user write access to {folder}."
