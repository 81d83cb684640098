"""Reference images: from what a caller names to bytes that cannot change any more.

A path is opened once; the open descriptor is checked and read, so swapping the file for a link
between check and use gains nothing. The bytes are kept by their hash: workers never open the
caller's path. Blocking calls: use a thread.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from contract.artifacts.sidecar import write_whole
from contract.errors.exceptions import Refused
from contract.errors.job_catalogue import STORAGE_FULL
from contract.errors.request_catalogue import (
    REFERENCE_INVALID,
    REFERENCE_NOT_A_FILE,
    REFERENCE_NOT_AN_IMAGE,
    REFERENCE_OUTSIDE_ROOTS,
    REFERENCE_TOO_LARGE,
    REFERENCE_UNREADABLE,
)
from contract.jobs.job import ReferenceSnapshot
from contract.untrusted.imaging.inspect import NotAnImage, TooLarge, inspect

MAX_EACH = 32 * 2**20
MAX_TOGETHER = 64 * 2**20

_NO_PATH = re.compile(r"~|data:|file:|[a-z]:/", re.IGNORECASE)


class References:
    """Snapshots files of the allowed roots into a private, content-addressed store."""

    def __init__(self, *, roots: Sequence[Path], workspace: Path, inputs: Path) -> None:
        self._roots = [root.resolve() for root in roots]
        self._workspace = workspace
        self._inputs = inputs

    def snapshot(self, paths: Sequence[str]) -> tuple[ReferenceSnapshot, ...]:
        """Copy reference files as they are now. Raises Refused with a `reference_…` code."""
        snapshots = []
        left = MAX_TOGETHER
        for path in paths:
            source, data = self._read(path, most=min(MAX_EACH, left))
            left -= len(data)
            snapshots.append(self._keep(source, data))
        return tuple(snapshots)

    def keep(self, data: bytes, mime: str) -> ReferenceSnapshot:
        """Keep a picture that has been looked at and is no file of ours. Raises Refused (`reference_too_large`)."""
        if len(data) > MAX_EACH:
            raise _too_large()
        sha256 = self._store(data)
        return ReferenceSnapshot(source=str(self._inputs / sha256), sha256=sha256, mime=mime, bytes=len(data))

    def touch(self, snapshots: Sequence[ReferenceSnapshot]) -> None:
        """Say that snapshots are needed once more. Raises Refused (`reference_unreadable`) when one is gone."""
        try:
            for snapshot in snapshots:
                os.utime(self._inputs / snapshot.sha256)
        except OSError as error:
            raise Refused(REFERENCE_UNREADABLE) from error

    def load(self, snapshot: ReferenceSnapshot) -> bytes:
        """Read a snapshot's bytes back. Raises OSError when it is gone."""
        return (self._inputs / snapshot.sha256).read_bytes()

    def _read(self, text: str, *, most: int) -> tuple[Path, bytes]:
        path = self._path(text)
        # Refusing by name first keeps us from opening devices; the descriptor decides afterwards.
        if not self._inside(Path(os.path.realpath(path))):
            raise Refused(REFERENCE_OUTSIDE_ROOTS)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        except FileNotFoundError as error:
            raise Refused(REFERENCE_OUTSIDE_ROOTS) from error
        except OSError as error:
            is_socket = error.errno == errno.ENXIO
            raise Refused(REFERENCE_NOT_A_FILE if is_socket else REFERENCE_UNREADABLE) from error
        try:
            opened = _real_path(descriptor)
            if not self._inside(opened):
                raise Refused(REFERENCE_OUTSIDE_ROOTS)
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise Refused(REFERENCE_NOT_A_FILE)
            with open(descriptor, "rb", closefd=False) as file:
                data = b"" if status.st_size > most else _read_all(file, most + 1)
            if status.st_size > most or len(data) > most:
                raise _too_large()
        finally:
            os.close(descriptor)
        return opened, data

    def _path(self, text: str) -> Path:
        odd = (
            not text
            or len(text) > 4096
            or _NO_PATH.match(text)
            or "\\" in text
            or "://" in text
            or not text.isprintable()
            or any(len(part.encode("utf-8", "replace")) > 255 for part in text.split("/"))
        )
        if odd:
            raise Refused(REFERENCE_INVALID)
        return self._workspace / text  # an absolute path stays as it is

    def _inside(self, path: Path) -> bool:
        return any(path.is_relative_to(root) for root in self._roots)

    def _keep(self, source: Path, data: bytes) -> ReferenceSnapshot:
        try:
            info = inspect(data)
        except TooLarge as error:
            raise _too_large() from error
        except NotAnImage as error:
            raise Refused(REFERENCE_NOT_AN_IMAGE) from error
        return ReferenceSnapshot(source=str(source), sha256=self._store(data), mime=info.mime, bytes=len(data))

    def _store(self, data: bytes) -> str:
        """Put bytes under the name of their hash; answer that. Raises Refused (`storage_full`)."""
        sha256 = hashlib.sha256(data).hexdigest()
        kept = self._inputs / sha256
        try:
            os.utime(kept)  # the janitor takes away what no job was accepted with for long
        except OSError:  # it is not there, or belongs to somebody else
            try:
                self._inputs.mkdir(mode=0o700, parents=True, exist_ok=True)
                write_whole(kept, data)
            except OSError as error:
                raise Refused(STORAGE_FULL) from error
        return sha256


def check_together(snapshots: Sequence[ReferenceSnapshot]) -> None:
    """Refuse snapshots that are too many bytes together. Raises Refused (`reference_too_large`)."""
    if sum(snapshot.bytes for snapshot in snapshots) > MAX_TOGETHER:
        raise _too_large()


def _read_all(file: BinaryIO, most: int) -> bytes:
    try:
        return file.read(most)
    except OSError as error:
        raise Refused(REFERENCE_UNREADABLE) from error


def _too_large() -> Refused:
    return Refused(REFERENCE_TOO_LARGE, max_mib=MAX_EACH // 2**20, total_mib=MAX_TOGETHER // 2**20)


def _real_path(descriptor: int) -> Path:
    """Ask the system which file an open descriptor really is."""
    if sys.platform == "darwin":
        answer = fcntl.fcntl(descriptor, 50, bytes(1024))  # F_GETPATH
        return Path(os.fsdecode(answer.rstrip(b"\0")))
    return Path(f"/proc/self/fd/{descriptor}").readlink()
