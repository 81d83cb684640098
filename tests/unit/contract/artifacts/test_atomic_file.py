"""One way to write a file: it has its name only when it is whole, and nothing else is left, whatever fails."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from contract.artifacts.atomic_file import meant_name, temporary_name, write_once, write_whole


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("write", [write_whole, write_once])
def test_a_file_is_for_its_owner_alone(write: Callable[[Path, bytes], object], tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write(tmp_path / "x", b"data")
    finally:
        os.umask(before)
    assert (tmp_path / "x").read_bytes() == b"data"
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o600
    assert names(tmp_path) == ["x"]


def test_writing_whole_replaces_and_writing_once_does_not(tmp_path: Path) -> None:
    write_whole(tmp_path / "x", b"one")
    write_whole(tmp_path / "x", b"two")
    assert (tmp_path / "x").read_bytes() == b"two"
    assert not write_once(tmp_path / "x", b"three")
    assert (tmp_path / "x").read_bytes() == b"two"
    assert write_once(tmp_path / "y", b"four")
    assert names(tmp_path) == ["x", "y"]


def test_of_many_that_write_once_one_wins(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        won = list(threads.map(lambda number: write_once(tmp_path / "x", b"%d" % number), range(32)))
    assert sum(won) == 1
    assert (tmp_path / "x").read_bytes() == b"%d" % won.index(True)
    assert names(tmp_path) == ["x"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()])
@pytest.mark.parametrize(
    ("write", "failing"),
    [(write_whole, "fsync"), (write_whole, "replace"), (write_once, "fsync"), (write_once, "link")],
)
def test_an_error_leaves_no_temporary_file(
    write: Callable[[Path, bytes], object],
    failing: str,
    error: BaseException,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        assert all(map(meant_name, names(tmp_path)))
        raise error

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(type(error)):
        write(tmp_path / "x", b"data")
    assert names(tmp_path) == []


def test_a_temporary_name_tells_what_it_is_for() -> None:
    assert meant_name(temporary_name("img_0123456789ab.png")) == "img_0123456789ab.png"
    assert temporary_name("x") != temporary_name("x")
    assert [meant_name(name) for name in ("x", ".x.tmp", ".x.0123456789ag.tmp", "x.0123456789ab.tmp")] == [None] * 4
