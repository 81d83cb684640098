"""What a killed worker leaves is tidied, whatever runs at the same time; nothing else is ever touched."""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from contract.artifacts.local_directory.cleanup import Cleanup
from contract.artifacts.local_directory.derived_files import ReferenceFolder
from contract.artifacts.local_directory.local_directory import LocalDirectory
from contract.artifacts.local_directory.lookup import read_sidecar
from contract.artifacts.local_directory.pair_writer import PairWriter
from contract.artifacts.sidecar import Sidecar
from contract.jobs.ids import artifact_id
from tests.support.factories.ended_job import a_job
from tests.support.factories.images import picture
from tests.support.factories.sidecars import a_sidecar
from worker import failpoint

HOUR = 3600.0
LIFE_S = 2 * 24 * HOUR
JOB_ID = "6f1c9a52-7a0e-4a3b-9a58-000000000001"
NAME = artifact_id(JOB_ID, 0)
DAY = "2026-03-04"
SHA = hashlib.sha256(b"a reference").hexdigest()
PNG = picture()
PNG_SHA = hashlib.sha256(PNG).hexdigest()
WHEN = datetime(2026, 3, 4, 12, tzinfo=UTC)
JOB = a_job(id=JOB_ID, created_at=WHEN)


class Killed(BaseException):
    """Stops a save as SIGKILL would: nobody tidies up."""


class Tidying:
    """All of a cleanup."""

    def __init__(self, media: Path, inputs: Path, *, save_dir: str = "art/made", age_s: float = LIFE_S) -> None:
        self._cleanup = Cleanup(media=media, save_dir=save_dir, inputs=inputs)
        self._age_s = age_s

    def tidy(self) -> None:
        """Tidy once."""
        self._cleanup.remove_incomplete()
        self._cleanup.remove_references(age_s=self._age_s)


class Rooms:
    """The folders of one Darkroom, with a writer and a janitor in them."""

    def __init__(self, folder: Path) -> None:
        self.media = folder / "media"
        self.inputs = folder / "inputs"
        self.writer = PairWriter(media=self.media, save_dir="art/made", reach=lambda step: failpoint.reach(step))
        self.day = self.media / "art" / "made" / DAY
        self.day.mkdir(parents=True)
        self.inputs.mkdir()
        self.janitor = self.hire()

    def hire(self) -> Tidying:
        """Start a cleanup afresh, as a worker does."""
        return Tidying(self.media, self.inputs)

    def save(self, data: bytes = b"image", *, extension: str = "png") -> Sidecar:
        """Store an image as a worker does."""
        path = self.day / f"{NAME}.{extension}"
        return self.writer.put(JOB, a_sidecar(data, id=NAME, path=str(path), job_id=JOB_ID), data)

    def leave_an_orphan(self, monkeypatch: pytest.MonkeyPatch, at: str = "after_image_link", times: int = 1) -> None:
        """Be killed at a named place of a save."""
        places = itertools.count(1)

        def reach(name: str) -> None:
            if name == at and next(places) == times:
                raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(failpoint, "reach", reach)
            with pytest.raises(Killed):
                self.save(b"never completed")

    def names(self) -> list[str]:
        """List what lies in the day's folder; what is random in a temporary name is left out."""
        return sorted(
            name[: -len("0123456789ab.tmp")] + "tmp" if name.endswith(".tmp") else name for name in _in(self.day)
        )

    def age(self, seconds: float) -> None:
        """Let time pass for all files."""
        for path in (*self.day.iterdir(), *self.inputs.iterdir()):
            age(path, seconds)


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then), follow_symlinks=False)


def _in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def private(path: Path, data: bytes = b"x") -> Path:
    """Write a file as we do, for us alone."""
    path.write_bytes(data)
    path.chmod(0o600)
    return path


@pytest.fixture
def rooms(tmp_path: Path) -> Rooms:
    return Rooms(tmp_path)


IMAGE, RECORD = f"{NAME}.png", f"{NAME}.json"
PICTURE, WORDS = f".{NAME}.png.tmp", f".{NAME}.json.tmp"


@pytest.mark.parametrize(
    ("at", "times", "left", "after_2_h", "after_25_h"),
    [
        ("after_tmp_write", 1, [PICTURE], [], []),
        ("after_tmp_write", 2, [WORDS, PICTURE], [], []),
        ("after_image_link", 1, [WORDS, PICTURE, IMAGE], [PICTURE, IMAGE], []),
        ("after_sidecar", 1, [WORDS, PICTURE, RECORD, IMAGE], [RECORD, IMAGE], [RECORD, IMAGE]),
    ],
)
def test_what_a_killed_worker_left_is_removed(
    at: str,
    times: int,
    left: list[str],
    after_2_h: list[str],
    after_25_h: list[str],
    rooms: Rooms,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rooms.leave_an_orphan(monkeypatch, at, times)
    for seconds, expected in (
        (HOUR - 60, left),
        (2 * HOUR, after_2_h),
        (24 * HOUR - 60, after_2_h),
        (25 * HOUR, after_25_h),
    ):
        rooms.age(seconds)
        rooms.janitor.tidy()
        assert rooms.names() == expected


def test_an_image_beside_the_sidecar_of_another_format_is_removed(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms.leave_an_orphan(monkeypatch)
    rooms.save(b"another", extension="jpg")
    rooms.age(25 * HOUR)
    rooms.janitor.tidy()
    assert rooms.names() == [f"{NAME}.jpg", RECORD]


def test_a_file_that_was_being_written_beside_an_orphan_is_removed_before_it(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms.leave_an_orphan(monkeypatch)
    rooms.leave_an_orphan(monkeypatch, "after_tmp_write", 2)
    rooms.age(2 * HOUR)
    rooms.janitor.tidy()
    assert rooms.names() == [PICTURE, IMAGE]


def test_what_a_discard_left_halfway_is_removed(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = rooms.save()
    unlink = Path.unlink

    def kill(path: Path, **how: bool) -> None:
        unlink(path, **how)
        raise Killed

    monkeypatch.setattr(Path, "unlink", kill)
    with pytest.raises(Killed):
        LocalDirectory(media=rooms.media, save_dir="art/made", home=rooms.media)._delete(saved.path)
    monkeypatch.undo()
    rooms.age(25 * HOUR)
    rooms.janitor.tidy()
    assert rooms.names() == []


def test_an_error_between_image_and_sidecar_leaves_what_the_janitor_knows(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> None:
        if name == "after_image_link":
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(failpoint, "reach", fail)
    with pytest.raises(OSError, match="No space"):
        rooms.save()
    assert rooms.names() == [PICTURE, IMAGE]
    rooms.age(25 * HOUR)
    rooms.janitor.tidy()
    assert rooms.names() == []


def _link(path: Path) -> None:
    path.symlink_to("/etc/hostname")


def _world_readable(path: Path) -> None:
    path.write_bytes(b"nanobot's")
    path.chmod(0o644)


@pytest.mark.parametrize("make", [private, _world_readable, _link, Path.mkdir])
@pytest.mark.parametrize(
    "name",
    [
        *("art/made/2026-03-04/img_0123456789ab.png", "art/made/2026-03-04/img_0123456789ab.json"),
        *("art/made/2026-03-04/.img_0123456789ab.tmp", "art/made/2026-03-04/.cat.png.0123456789ab.tmp"),
        *("art/made/2026-03-04/img_0123456789ab.png.0123456789ab.tmp", "art/made/2026-03-04/cat.png"),
        *("art/made/.img_0123456789ab.png.0123456789ab.tmp", ".img_0123456789ab.png.0123456789ab.tmp"),
        *("art/made/2026-03-04b/.img_0123456789ab.png.0123456789ab.tmp", "art/.img_0123456789ab.png.0123456789ab.tmp"),
        *("../inputs/notes.txt", "../inputs/.notes.0123456789ab.tmp", f"../inputs/{SHA[:-1]}", f"../inputs/{SHA}.png"),
    ],
)
def test_what_is_not_ours_is_never_touched(name: str, make: Callable[[Path], object], rooms: Rooms) -> None:
    path = rooms.media / name
    path.parent.mkdir(exist_ok=True)
    make(path)
    age(path, 400 * 24 * HOUR)
    rooms.janitor.tidy()
    assert os.path.lexists(path)


@pytest.mark.parametrize("make", [_world_readable, _link, Path.mkdir])
@pytest.mark.parametrize("name", [f"../inputs/{SHA}", "art/made/2026-03-04/.img_0123456789ab.png.0123456789ab.tmp"])
def test_under_our_names_only_our_own_files_are_removed(
    name: str, make: Callable[[Path], object], rooms: Rooms
) -> None:
    test_what_is_not_ours_is_never_touched(name, make, rooms)


def test_images_whose_sidecars_their_owner_threw_away_stay(rooms: Rooms) -> None:
    rooms.save()
    (rooms.day / RECORD).unlink()
    rooms.age(400 * 24 * HOUR)
    rooms.janitor.tidy()
    assert rooms.names() == [IMAGE]


@pytest.mark.parametrize("part", ["art", "art/made", "art/made/2026-03-04"])
def test_no_link_to_a_folder_is_followed(part: str, rooms: Rooms, tmp_path: Path) -> None:
    temporary = private(rooms.day / ".img_0123456789ab.png.0123456789ab.tmp")
    age(temporary, 25 * HOUR)
    (rooms.media / part).rename(tmp_path / "elsewhere")
    (rooms.media / part).symlink_to(tmp_path / "elsewhere")
    rooms.janitor.tidy()
    assert temporary.exists()


@pytest.mark.parametrize("make", [private, lambda path: path.symlink_to("nowhere")], ids=["broken", "link"])
def test_a_sidecar_that_is_none_keeps_its_image(
    make: Callable[[Path], object], rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms.leave_an_orphan(monkeypatch)
    make(rooms.day / RECORD)
    rooms.age(25 * HOUR)
    rooms.janitor.tidy()
    assert {IMAGE, RECORD} <= set(rooms.names())


def test_folders_without_news_are_looked_at_once(rooms: Rooms) -> None:
    old = rooms.day.with_name("2020-02-02")
    old.mkdir()

    def leave(folder: Path, changed_s: float) -> Path:
        temporary = private(folder / ".img_0123456789ab.png.0123456789ab.tmp")
        age(temporary, 2 * HOUR)
        age(folder, changed_s)
        return temporary

    first = leave(old, 99 * 24 * HOUR)
    rooms.janitor.tidy()
    assert not first.exists()
    quiet, lately = leave(old, 3 * 24 * HOUR + 60), leave(rooms.day, 3 * 24 * HOUR - 60)
    rooms.janitor.tidy()
    assert (quiet.exists(), lately.exists()) == (True, False)
    rooms.hire().tidy()
    assert not quiet.exists()


def test_snapshots_that_no_job_can_need_are_removed(rooms: Rooms) -> None:
    old, young = private(rooms.inputs / SHA), private(rooms.inputs / ("0" * 64))
    temporary, fresh = (private(rooms.inputs / f".{SHA}.{letter * 12}.tmp") for letter in "ab")
    for path, seconds in ((old, LIFE_S + 60), (young, LIFE_S - 60), (temporary, HOUR + 60), (fresh, HOUR - 60)):
        age(path, seconds)
    rooms.janitor.tidy()
    assert _in(rooms.inputs) == sorted([young.name, fresh.name])


def test_g23_a_wrong_clock_of_the_worker_makes_nothing_old(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [private(rooms.day / f".{IMAGE}.0123456789ab.tmp"), private(rooms.inputs / SHA)]
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + LIFE_S + HOUR)
    rooms.janitor.tidy()
    assert all(path.exists() for path in files)


def test_where_nothing_was_made_yet_nothing_is_made_or_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "empty"
    media, inputs = folder / "media", folder / "inputs"
    Tidying(media, inputs, save_dir="x", age_s=1).tidy()
    assert not folder.exists()
    assert caplog.records == []


@pytest.mark.parametrize("failing", ["unlink", "rename", "utime"])
def test_what_cannot_be_removed_is_told_and_does_not_stop_the_rest(
    failing: str, rooms: Rooms, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for folder, name in ((rooms.day, IMAGE), (rooms.inputs, SHA)):
        for letter in "ab":
            private(folder / f".{name}.{letter * 12}.tmp")
    rooms.age(25 * HOUR)
    honest, failures = getattr(os, failing), itertools.count()

    def fail_once(*args: object, **how: object) -> None:
        if next(failures) == 0:
            raise PermissionError(1, "Operation not permitted")
        honest(*args, **how)

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(f"contract.artifacts.local_directory.cleanup.os.{failing}", fail_once)
        rooms.janitor.tidy()
    [record] = caplog.records
    assert "Operation not permitted" in record.getMessage()
    left = len(_in(rooms.day)) + len(_in(rooms.inputs))
    assert left == (2 if failing == "utime" else 1)
    rooms.janitor.tidy()
    assert rooms.names() + _in(rooms.inputs) == []


class Actor(threading.Thread):
    """Work in a thread of its own that halts before each of its system calls until it is told to go on."""

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._go, self._halted, self._over = threading.Semaphore(0), threading.Semaphore(0), threading.Event()
        self.error: OSError | None = None
        self.start()
        self._halted.acquire()

    def run(self) -> None:
        """Do the work."""
        self.halt()
        try:
            self._work()
        except OSError as error:
            self.error = error
        finally:
            self._over.set()
            self._halted.release()

    def halt(self) -> None:
        """Wait to be told to go on."""
        self._halted.release()
        self._go.acquire()

    def go(self, steps: int = 1000) -> bool:
        """Go on for some steps, by default to the end; tell whether it is reached."""
        for _ in range(steps):
            if not self._over.is_set():
                self._go.release()
                self._halted.acquire()
        return self._over.is_set()


class Stepped:
    """The os module, with a halt of the actor before each call that looks at files or changes them."""

    CALLS = frozenset({"link", "unlink", "rename", "replace", "stat", "scandir", "open", "utime"})

    def __getattr__(self, name: str) -> Any:
        if name == "fsync":
            return bool  # takes its time
        honest = getattr(os, name)
        if name not in self.CALLS:
            return honest

        def call(*args: object, **how: object) -> object:
            thread = threading.current_thread()
            opens_a_folder = name == "open" and bool(int(str(args[1])) & os.O_DIRECTORY)
            if isinstance(thread, Actor) and not opens_a_folder:
                thread.halt()
            return honest(*args, **how)

        return call


@pytest.fixture
def stepped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Actors halt in the writer, the janitor and the references."""
    for module in ("pair_writer", "cleanup", "derived_files"):
        monkeypatch.setattr(f"contract.artifacts.local_directory.{module}.os", Stepped())
    monkeypatch.setattr("contract.artifacts.atomic_file.os", Stepped())


def let_meet(one: Actor, other: Actor, steps: int, others: int) -> tuple[bool, bool]:
    """Let one go on for some steps, then the other for some, then both to their ends; tell who had none left before."""
    are_over = one.go(steps), other.go(others)
    one.go()
    other.go()
    assert (one.error, other.error) == (None, None)
    return are_over


def every_meeting(meet: Callable[[int, int], tuple[bool, bool]]) -> int:
    """Try every number of steps for both; answer how many meetings there were."""
    meetings = 0
    for steps in itertools.count():
        for others in itertools.count(1):
            is_one_over, is_other_over = meet(steps, others)
            meetings += 1
            if is_other_over:
                break
        if is_one_over:
            return meetings
    raise AssertionError


@pytest.mark.usefixtures("stepped")
@pytest.mark.parametrize("extension", ["png", "jpg"])
@pytest.mark.parametrize("first", ["janitor", "writer"])
def test_a_save_that_meets_the_janitor_at_any_step_is_whole(
    first: str, extension: str, rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meet(steps: int, others: int) -> tuple[bool, bool]:
        for path in rooms.day.iterdir():
            path.unlink()
        rooms.leave_an_orphan(monkeypatch)
        rooms.age(25 * HOUR)
        tidying = Actor(rooms.hire().tidy)
        saving = Actor(lambda: rooms.save(b"new", extension=extension))
        pair = (tidying, saving) if first == "janitor" else (saving, tidying)
        are_over = let_meet(*pair, steps, others)
        sidecar = read_sidecar(rooms.day / RECORD)
        assert sidecar is not None
        assert Path(sidecar.path).read_bytes() == b"new"
        rooms.age(25 * HOUR)
        rooms.hire().tidy()
        assert rooms.names() == sorted([RECORD, Path(sidecar.path).name])
        return are_over

    assert every_meeting(meet) > 100


@pytest.mark.usefixtures("stepped")
def test_a_worker_frozen_for_a_day_at_any_step_tears_nothing(rooms: Rooms) -> None:
    outcomes = set()

    def meet(before: int, after: int) -> tuple[bool, bool]:
        for path in rooms.day.iterdir():
            path.unlink()
        saving = Actor(rooms.save)
        is_over = saving.go(before)
        rooms.age(25 * HOUR)
        has_no_more = saving.go(after - 1)
        rooms.hire().tidy()
        saving.go()
        has_sidecar = (rooms.day / RECORD).exists()
        assert has_sidecar == (read_sidecar(rooms.day / RECORD) is not None)
        assert has_sidecar or isinstance(saving.error, FileNotFoundError)
        rooms.age(25 * HOUR)
        rooms.hire().tidy()
        assert rooms.names() == ([RECORD, IMAGE] if has_sidecar else [])
        outcomes.add(has_sidecar)
        return is_over, has_no_more

    assert every_meeting(meet) > 20
    assert outcomes == {True, False}


@pytest.mark.usefixtures("stepped")
def test_two_workers_that_save_the_same_artifact_at_any_step_leave_one_that_is_whole(rooms: Rooms) -> None:
    def meet(steps: int, others: int) -> tuple[bool, bool]:
        for path in rooms.day.iterdir():
            path.unlink()
        saved: list[Sidecar] = []
        one, other = (Actor(partial(lambda data: saved.append(rooms.save(data)), data)) for data in (b"one", b"other"))
        are_over = let_meet(one, other, steps, others)
        assert saved == [read_sidecar(rooms.day / RECORD)] * 2
        assert rooms.names() == [RECORD, IMAGE]
        return are_over

    assert every_meeting(meet) > 50


@pytest.mark.usefixtures("stepped")
@pytest.mark.parametrize("first", ["janitor", "producer"])
def test_a_snapshot_that_is_used_again_while_it_is_removed_is_there(first: str, rooms: Rooms) -> None:
    references = ReferenceFolder(rooms.inputs)
    kept = rooms.inputs / PNG_SHA

    def meet(steps: int, others: int) -> tuple[bool, bool]:
        age(private(kept, PNG), LIFE_S + 60)
        tidying = Actor(rooms.hire().tidy)
        using = Actor(lambda: references.put(PNG))
        pair = (tidying, using) if first == "janitor" else (using, tidying)
        are_over = let_meet(*pair, steps, others)
        assert kept.read_bytes() == PNG
        assert time.time() - kept.stat().st_mtime < 60
        assert _in(rooms.inputs) == [PNG_SHA]
        return are_over

    assert every_meeting(meet) > 20
