"""A file that has its name only when it is whole: written under a temporary name, synced, then renamed or linked."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{12}\.tmp")
_FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def temporary_name(name: str) -> str:
    """Name a file that is to have a name once it is whole."""
    return f".{name}.{secrets.token_hex(6)}.tmp"


def meant_name(temporary: str) -> str | None:
    """Tell which name a temporary file is for; None for the name of any other file."""
    found = _TEMPORARY.fullmatch(temporary)
    return found[1] if found else None


def write_whole(path: Path, data: bytes) -> None:
    """Put a whole file under a name, for us alone; another one there is replaced. Raises OSError."""
    with _folder_of(path) as folder, temporary_file(folder, path.name, data) as temporary:
        os.replace(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)


def write_once(path: Path, data: bytes) -> bool:
    """Put a whole file under a name that is still free, for us alone, and for good; tell whether it was free.

    Raises OSError.
    """
    with _folder_of(path) as folder, temporary_file(folder, path.name, data) as temporary:
        is_ours = link(folder, temporary, path.name)
        os.fsync(folder)
        return is_ours


@contextmanager
def temporary_file(folder: int, name: str, data: bytes | bytearray, *, keeps_linked: bool = False) -> Iterator[str]:
    """Write a whole file that has a temporary name for now, in an open folder; answer that name.

    At the end, and after an error, it loses this name. If `keeps_linked`, a file that has its own name, too, keeps both
    after an error of the storage, and after any other both stay as they are: the cleanup goes on.
    """
    temporary = temporary_name(name)
    descriptor = os.open(temporary, _FILE_FLAGS, 0o600, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    except BaseException as error:
        if not keeps_linked or (isinstance(error, OSError) and os.stat(temporary, dir_fd=folder).st_nlink == 1):
            unlink(folder, temporary)
        raise
    unlink(folder, temporary)


def link(folder: int, temporary: str, name: str) -> bool:
    """Give a file a name that is still free; tell whether it was. Raises OSError."""
    try:
        os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        return False
    return True


def unlink(folder: int, name: str) -> None:
    """Remove a file of an open folder, if it is there. Raises OSError."""
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


@contextmanager
def _folder_of(path: Path) -> Iterator[int]:
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
