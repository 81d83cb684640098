"""Room in the media directory: may we write there, and how much; by writing, and without it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

LEAST = 2**20  # bytes: an image of 1K has as many
LOW = 2**30


@dataclass(frozen=True, slots=True)
class Room:
    """What is free in a directory; `problem` says why nothing can be stored there, "" if something can."""

    free: int
    problem: str = ""
    is_there: bool = True

    @property
    def words(self) -> str:
        """Tell how much is free."""
        return f"{self.free / 2**30:.1f} GB free" if self.free >= LOW else f"{self.free / 2**20:.0f} MB free"


def room_of(folder: Path) -> Room:
    """Look at a directory, or at where it would be made; blocking."""
    is_there, at = folder.exists(), folder
    while not at.exists():
        at = at.parent
    if not os.access(at, os.W_OK | os.X_OK):
        return Room(0, "cannot be written to", is_there)
    free = shutil.disk_usage(at).free
    return Room(free, "" if free >= LEAST else "has no room left: its disk is full", is_there)


def try_room(folder: Path) -> Room:
    """Write as much as an image has into a directory that is there, and take it away again; blocking."""
    room = room_of(folder)
    if room.problem or not room.is_there:
        return room
    try:
        with TemporaryFile(dir=folder) as file:
            file.write(bytes(LEAST))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return Room(room.free, f"cannot be written to: {error.strerror}")
    return room
