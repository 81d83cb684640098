"""Cleaning up: what killed workers left, and reference images that no job can need any more.

What was never completed is known by its temporary name, which the writer lets an image keep beside its
own one until the sidecar stands. An image with one name is never touched: it is nanobot's, or its owner
threw the sidecar away. Ages are told by the file system's clock, as a worker's own may be wrong.
"""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path, PurePosixPath
from stat import S_IFREG

from contract.artifacts.atomic_file import meant_name, temporary_name
from contract.artifacts.local_directory.folders import open_folder
from contract.artifacts.sidecar import Sidecar
from contract.jobs.ids import is_artifact_id, is_sha256

TEMPORARY_S = 3600.0  # writing a file takes no hour
ORPHAN_S = 24 * 3600.0
LATELY_S = 3 * 24 * 3600.0  # a day's folder without a change for so long has been tidied before

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

logger = logging.getLogger(__name__)


class Cleanup:
    """Tidies the folders of one Darkroom; several may do so at the same time."""

    def __init__(self, *, media: Path, save_dir: str, inputs: Path) -> None:
        self._media = media
        self._parts = PurePosixPath(save_dir).parts
        self._inputs = inputs
        self._lately_s = math.inf

    def remove_incomplete(self) -> None:
        """Tidy all days the first time, then those that have changed lately. Blocking."""
        with _going_on("the generated images"):
            self._tidy_days()
            self._lately_s = LATELY_S

    def remove_references(self, *, age_s: float) -> None:
        """Remove the reference images that were not used for so long. Blocking."""
        with _going_on("the reference images"):
            self._tidy_inputs(age_s)

    def _tidy_days(self) -> None:
        with open_folder(self._media, self._parts, make=False) as folder:
            now = _file_time(folder)
            for name in filter(_DAY.fullmatch, _names(folder)):
                with _going_on(name), open_folder(self._media, (*self._parts, name), make=False) as day:
                    if now - os.fstat(day).st_mtime < self._lately_s:
                        _tidy_day(day, now)

    def _tidy_inputs(self, snapshot_age_s: float) -> None:
        with open_folder(self._inputs, (), make=False) as folder:
            now = _file_time(folder)
            for name in _names(folder):
                age_s = TEMPORARY_S if meant_name(name) else snapshot_age_s
                with _going_on(name):
                    if is_sha256(meant_name(name) or name):
                        _remove(folder, name, partial(_is_ours, before=now - age_s))


def _tidy_day(day: int, now: float) -> None:
    names = [name for name in _names(day) if is_artifact_id((meant_name(name) or "").partition(".")[0])]
    # Sidecars first: without its temporary one a worker that was frozen for hours can complete nothing any more.
    for name in sorted(names, key=lambda name: ".json." not in name):
        with _going_on(name):
            _tidy_temporary(day, name, now)


def _tidy_temporary(day: int, name: str, now: float) -> None:
    """Remove a temporary file that is old enough, with its image if that was never completed."""
    file, meant = _look(day, name), str(meant_name(name))
    if not _is_ours(file, before=now - TEMPORARY_S):
        return
    if meant in _names(day) and os.path.samestat(_look(day, meant), file) and not meant.endswith(".json"):
        artifact = meant.partition(".")[0]
        # In this order, for a sidecar loses its temporary name after it got its own.
        is_being_completed = any(other.startswith(f".{artifact}.json.") for other in _names(day))
        if not _is_told_of(day, artifact, meant):
            if is_being_completed or not _is_ours(file, before=now - ORPHAN_S):
                return
            _remove(day, meant, partial(os.path.samestat, file))
    os.unlink(name, dir_fd=day)


def _is_told_of(day: int, artifact: str, image: str) -> bool:
    """Tell whether an image has a sidecar; one that names another image is not its own."""
    try:
        descriptor = os.open(f"{artifact}.json", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=day)
    except FileNotFoundError:
        return False
    with open(descriptor, "rb") as file, suppress(ValueError):
        return Path(Sidecar.model_validate_json(file.read()).path).name == image
    return True


def _remove(folder: int, name: str, is_meant: Callable[[os.stat_result], bool]) -> None:
    """Remove a file if it is meant; one that was touched or replaced in the last moment is put back."""
    if not is_meant(_look(folder, name)):
        return
    aside = temporary_name(meant_name(name) or name)
    os.rename(name, aside, src_dir_fd=folder, dst_dir_fd=folder)
    if not is_meant(_look(folder, aside)):
        with suppress(FileExistsError):
            os.link(aside, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    os.unlink(aside, dir_fd=folder)


def _names(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def _look(folder: int, name: str) -> os.stat_result:
    return os.stat(name, dir_fd=folder, follow_symlinks=False)


def _is_ours(file: os.stat_result, *, before: float) -> bool:
    """Tell whether we wrote a file, and before a time."""
    return file.st_mode == S_IFREG | 0o600 and file.st_uid == os.getuid() and file.st_mtime < before


def _file_time(folder: int) -> float:
    os.utime(folder)  # touches it
    return os.fstat(folder).st_mtime


@contextmanager
def _going_on(what: str) -> Iterator[None]:
    """Log what cannot be tidied, and go on; what is not there is tidy."""
    try:
        yield
    except OSError as error:
        if not isinstance(error, FileNotFoundError):
            logger.warning("cannot tidy %s: %s", what, error.strerror)
