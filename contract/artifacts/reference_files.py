"""Files that a caller names as references: only bytes of regular files inside the allowed roots.

A path is opened once; the open descriptor is checked and read, so swapping the file for a link
between check and use gains nothing. Blocking calls: use a thread.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from contract.artifacts.reference_names import find, is_address, may_be_a_name
from contract.errors.catalogue.request import (
    REFERENCE_HAS_LINKS,
    REFERENCE_INVALID,
    REFERENCE_NOT_A_FILE,
    REFERENCE_OUTSIDE_ROOTS,
    REFERENCE_UNREADABLE,
)
from contract.errors.exceptions import Refused


class FileTooLarge(Exception):
    """The file has more bytes than may be read."""


class ReferenceFiles:
    """Reads files below some roots; relative paths begin at `workspace`."""

    def __init__(self, *, roots: Sequence[Path], workspace: Path) -> None:
        self._roots = [root.resolve() for root in roots]
        self._workspace = workspace

    def read(self, text: str, *, most: int) -> tuple[Path, bytes]:
        """Read a file; answer its real path and bytes. Raises Refused with a `reference_…` code, and FileTooLarge."""
        path = self._path(text)
        # Refusing by name first keeps us from opening devices; the descriptor decides afterwards.
        if not self._inside(Path(os.path.realpath(path))):
            raise Refused(REFERENCE_OUTSIDE_ROOTS)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        except FileNotFoundError:  # it names the file, and a name may be as private as a prompt
            raise Refused(REFERENCE_INVALID if is_address(text) else REFERENCE_OUTSIDE_ROOTS) from None
        except OSError as error:
            is_socket = error.errno == errno.ENXIO
            raise Refused(REFERENCE_NOT_A_FILE if is_socket else REFERENCE_UNREADABLE) from None
        try:
            opened = _real_path(descriptor)
            if not self._inside(opened):
                raise Refused(REFERENCE_OUTSIDE_ROOTS)
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise Refused(REFERENCE_NOT_A_FILE)
            if self._may_be_elsewhere(opened, status):
                raise Refused(REFERENCE_HAS_LINKS)
            with open(descriptor, "rb", closefd=False) as file:
                data = b"" if status.st_size > most else _read_all(file, most + 1)
            if status.st_size > most or len(data) > most:
                raise FileTooLarge
        finally:
            os.close(descriptor)
        return opened, data

    def _path(self, text: str) -> Path:
        if not may_be_a_name(text):
            raise Refused(REFERENCE_INVALID)
        return find(text, self._workspace, may_look=lambda folder: self._inside(Path(os.path.realpath(folder))))

    def _may_be_elsewhere(self, path: Path, status: os.stat_result) -> bool:
        """Tell whether a file has further names (hard links) that do not lie in its own directory."""
        if status.st_nlink == 1 or Path("/") in self._roots:
            return False
        try:
            with os.scandir(path.parent) as entries:
                beside = sum(entry.inode() == status.st_ino and not entry.is_symlink() for entry in entries)
        except OSError:
            return True
        return beside < status.st_nlink

    def _inside(self, path: Path) -> bool:
        return any(path.is_relative_to(root) for root in self._roots)


def _read_all(file: BinaryIO, most: int) -> bytes:
    try:
        return file.read(most)
    except OSError:
        raise Refused(REFERENCE_UNREADABLE) from None


def _real_path(descriptor: int) -> Path:
    """Ask the system which file an open descriptor really is."""
    if sys.platform == "darwin":
        answer = fcntl.fcntl(descriptor, 50, bytes(1024))  # F_GETPATH
        return Path(os.fsdecode(answer.rstrip(b"\0")))
    return Path(f"/proc/self/fd/{descriptor}").readlink()
