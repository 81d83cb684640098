"""Reference images: only bytes of files inside the allowed roots, as they were when the job was accepted."""

import asyncio
import hashlib
import io
import itertools
import os
import socket
import stat
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import Mock

import pytest
from PIL import Image
from simulator.pictures import png

from contract.artifacts.atomic_file import meant_name
from contract.artifacts.local_directory.local_directory import LocalDirectory
from contract.artifacts.reference_files import ReferenceFiles
from contract.artifacts.references import MAX_EACH, MAX_TOGETHER, DecodedImage, NoReference, Read, References
from contract.errors.exceptions import Refused
from contract.jobs.job import ReferenceSnapshot
from contract.untrusted.imaging.inspect import NotAnImage, TooLarge, adopt
from tests.support.factories.real_names import ALIKE, NAMES, spelt

MIB = 2**20


def picture(colour: str = "red", kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), colour).save(file, kind)
    return file.getvalue()


def heavy(path: Path, size: int, colour: str = "red") -> None:
    """Write a good PNG of an exact number of bytes: what follows the end of a PNG is no harm."""
    path.write_bytes(picture(colour))
    os.truncate(path, size)


class Snapshots:
    """References in a directory, for tests without an event loop."""

    def __init__(self, *, roots: Sequence[Path], workspace: Path, inputs: Path) -> None:
        self._artifacts = LocalDirectory(media=workspace.parent / "media", save_dir="generated", home=inputs.parent)
        self._references = References(
            self._artifacts, ReferenceFiles(roots=roots, workspace=workspace), decoded=decoded
        )

    def snapshot(self, paths: Sequence[str]) -> tuple[ReferenceSnapshot, ...]:
        """Copy reference files as they are now."""
        return asyncio.run(self._references.snapshot(paths))

    def load(self, snapshot: ReferenceSnapshot) -> bytes:
        """Read a snapshot's bytes back."""
        return asyncio.run(self._artifacts.read_reference(snapshot.sha256))


@asynccontextmanager
async def decoded(read: Read, owner: str) -> AsyncIterator[DecodedImage]:
    """Decode an image here, as the sandbox would."""
    data = await read()
    try:
        info, made = adopt(data)
        yield DecodedImage(made, info.mime, info.width, info.height)
    except TooLarge as error:
        raise NoReference(is_too_large=True, limit=error.limit) from error
    except NotAnImage as error:
        raise NoReference from error


INSIDE, OUTSIDE = picture("red"), picture("blue")


@pytest.fixture
def space(tmp_path: Path) -> Path:
    """A workspace with one picture in it, a media directory, and a picture outside of both."""
    workspace = tmp_path / "space"
    for folder in (workspace, tmp_path / "media", tmp_path / "space2", tmp_path / "outside"):
        folder.mkdir()
    (workspace / "in.png").write_bytes(INSIDE)
    (tmp_path / "media" / "made.png").write_bytes(INSIDE)
    (tmp_path / "space2" / "x.png").write_bytes(OUTSIDE)
    (tmp_path / "outside" / "x.png").write_bytes(OUTSIDE)
    return workspace


@pytest.fixture
def references(space: Path) -> Snapshots:
    media = space.parent / "media"
    return Snapshots(roots=(space, media), workspace=space, inputs=space.parent / "inputs")


def refusal(references: Snapshots, *paths: str) -> Refused:
    with pytest.raises(Refused) as caught:
        references.snapshot(paths)
    return caught.value


def read(references: Snapshots, path: str) -> bytes:
    (snapshot,) = references.snapshot([path])
    return references.load(snapshot)


@pytest.mark.parametrize("name", ["in.png", "./in.png", "sub/../in.png", "{space}/in.png", "{space}/../media/made.png"])
def test_a_file_in_a_root_is_read_by_relative_or_absolute_path(name: str, references: Snapshots, space: Path) -> None:
    (space / "sub").mkdir()
    assert read(references, name.format(space=space)) == INSIDE


@pytest.mark.parametrize(
    "path",
    [
        *("../../etc/passwd", "/etc/passwd", "%2e%2e/x.png", "....//x.png", "../outside/x.png", "../outside/none.png"),
        *("/", "/proc/self/environ", "/proc/self/root/etc/passwd", "/proc/self/cwd", "/dev/zero", "/dev/stdin"),
        *("/dev/fd/0", "none.png", "in.png/../../outside/x.png"),
    ],
)
def test_b01_a_path_out_of_the_roots_is_refused(path: str, references: Snapshots) -> None:
    assert refusal(references, path).code == "reference_outside_roots"


def test_b01_the_text_is_the_same_whether_or_not_a_file_is_there(references: Snapshots, space: Path) -> None:
    outside = space.parent / "outside"
    (space / "there.png").symlink_to(outside / "x.png")
    (space / "not.png").symlink_to(outside / "none.png")
    paths = ["../outside/x.png", "../outside/none.png", str(outside), "there.png", "not.png", "/etc/shadow", "none.png"]
    assert len({refusal(references, path).detail for path in paths}) == 1


def test_b02_a_sibling_with_the_same_begin_is_no_root(references: Snapshots, space: Path) -> None:
    assert refusal(references, f"{space}2/x.png").code == "reference_outside_roots"


def test_b03_links_out_of_the_root_are_refused(references: Snapshots, space: Path) -> None:
    outside = space.parent / "outside"
    (space / "file.png").symlink_to(outside / "x.png")
    (space / "folder").symlink_to(outside)
    (space / "chain.png").symlink_to(space / "file.png")
    (space / "proc").symlink_to("/proc/self/root")
    for path in ("file.png", "folder/x.png", "chain.png", f"proc{outside}/x.png", "proc/etc/passwd"):
        assert refusal(references, path).code == "reference_outside_roots", path


def test_a_hard_link_to_a_file_elsewhere_is_refused(references: Snapshots, space: Path) -> None:
    (space / "hard.png").hardlink_to(space.parent / "outside" / "x.png")
    (space / "link.png").symlink_to(space / "hard.png")
    assert {refusal(references, name).code for name in ("hard.png", "link.png")} == {"reference_has_links"}


def test_a_file_whose_names_all_lie_beside_it_is_read(references: Snapshots, space: Path) -> None:
    (space / "hard.png").hardlink_to(space / "in.png")
    assert read(references, "hard.png") == INSIDE
    (space / "sub").mkdir()
    (space / "sub" / "third.png").hardlink_to(space / "in.png")
    assert refusal(references, "hard.png").code == "reference_has_links"


def test_a_hard_link_is_no_secret_to_who_may_read_everything(space: Path) -> None:
    references = Snapshots(roots=(Path("/"),), workspace=space, inputs=space.parent / "inputs")
    (space / "hard.png").hardlink_to(space.parent / "outside" / "x.png")
    assert read(references, "hard.png") == OUTSIDE


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_b03_the_root_of_the_process_is_just_another_name(references: Snapshots, space: Path) -> None:
    assert read(references, f"/proc/self/root{space}/in.png") == INSIDE
    assert refusal(references, f"/proc/self/root{space.parent}/outside/x.png").code == "reference_outside_roots"


def test_b03_an_open_descriptor_of_an_outside_file_is_refused(references: Snapshots, space: Path) -> None:
    with (space.parent / "outside" / "x.png").open("rb") as file:
        for path in (f"/dev/fd/{file.fileno()}", f"/proc/self/fd/{file.fileno()}"):
            assert refusal(references, path).code == "reference_outside_roots"


def test_b03_a_loop_of_links_is_refused(references: Snapshots, space: Path) -> None:
    (space / "a").symlink_to(space / "b")
    (space / "b").symlink_to(space / "a")
    assert refusal(references, "a").code == "reference_unreadable"


def test_b04_links_inside_the_root_are_followed(references: Snapshots, space: Path) -> None:
    (space / "link.png").symlink_to("in.png")
    (snapshot,) = references.snapshot(["link.png"])
    assert (snapshot.source, references.load(snapshot)) == (str(space / "in.png"), INSIDE)


def test_a_root_may_itself_be_a_link(space: Path) -> None:
    (space.parent / "alias").symlink_to(space)
    alias = space.parent / "alias"
    references = Snapshots(roots=(alias,), workspace=alias, inputs=space.parent / "inputs")
    assert read(references, "in.png") == INSIDE


def test_b05_swapping_the_file_for_a_link_gains_nothing(references: Snapshots, space: Path) -> None:
    """Another thread swaps the file, or its directory, for a link to the outside, as fast as it can."""
    target, folder = space / "swap.png", space / "folder"
    (space / "real").mkdir()
    (space / "real" / "x.png").write_bytes(INSIDE)
    stop = threading.Event()

    def put(path: Path, points_to: Path) -> None:
        (space / "next").symlink_to(points_to)
        (space / "next").replace(path)

    def swap() -> None:
        while not stop.is_set():
            for points_to in ("outside", "space/real"):
                put(target, space.parent / points_to / "x.png")
                put(folder, space.parent / points_to)

    thread = threading.Thread(target=swap)
    thread.start()
    seen: dict[str, int] = {}
    begun = time.monotonic()
    try:
        for number in itertools.count():
            try:
                result = "inside" if read(references, ("swap.png", "folder/x.png")[number % 2]) == INSIDE else "escaped"
            except Refused as error:
                result = error.code
            seen[result] = seen.get(result, 0) + 1
            if (number > 1000 and len(seen) > 1) or time.monotonic() - begun > 3:
                break
    finally:
        stop.set()
        thread.join()
    assert set(seen) == {"inside", "reference_outside_roots"}, seen


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(path.parent)  # the path of a socket has 108 characters at most
        server.bind(path.name)


@pytest.mark.parametrize("make", [Path.mkdir, _fifo, _socket], ids=["directory", "fifo", "socket"])
def test_b06_what_is_no_regular_file_is_refused_at_once(
    make: Callable[[Path], None], references: Snapshots, space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(space)
    make(space / "odd.png")
    before = len([*Path("/dev/fd").iterdir()])
    begun = time.monotonic()
    assert refusal(references, "odd.png").code == "reference_not_a_file"
    assert time.monotonic() - begun < 0.1
    assert len([*Path("/dev/fd").iterdir()]) == before


def test_b06_a_sparse_file_of_10_gb_is_refused_at_once(references: Snapshots, space: Path) -> None:
    with (space / "sparse.png").open("wb") as file:
        file.truncate(10 * 2**30)
    begun = time.monotonic()
    assert refusal(references, "sparse.png").code == "reference_too_large"
    assert time.monotonic() - begun < 0.1


def test_b06_a_file_that_grows_while_it_is_read_ends_at_the_cap(
    references: Snapshots, space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file says it has few bytes, and has more than the cap when it is read."""
    with (space / "grows.png").open("wb") as file:
        file.truncate(100 * 2**30)  # read to its end, it would not fit into memory
    honest = os.fstat

    def small(descriptor: int) -> os.stat_result:
        values = list(honest(descriptor))
        values[stat.ST_SIZE] = 10
        return os.stat_result(values)

    monkeypatch.setattr("contract.artifacts.reference_files.os.fstat", small)
    assert refusal(references, "grows.png").code == "reference_too_large"


@pytest.mark.parametrize(
    "path",
    [
        *("in\0.png", "x/" * 2500, "n" * 300, "é" * 128, "", "file:///etc/passwd", "file:in.png"),
        *("http://host/x.png", "HTTPS://host/x.png", "data:image/png;base64,AA", "DATA:,x", "C:\\x.png", "c:/x.png"),
        *("\\\\host\\share\\x.png", "\ud800.png"),
    ],
    ids=lambda path: ascii(path[:20]),
)
def test_b08_what_is_no_path_is_refused(path: str, references: Snapshots) -> None:
    assert refusal(references, path).code == "reference_invalid"


@pytest.mark.parametrize(
    "path",
    ["~", "~/x.png", "~root/x", "~nobody-here/x", "..\\..\\x", "in\n.png", "\x1b[31m.png", "in.png ", "IN.png"],
    ids=ascii,
)
def test_b08_a_name_of_which_there_is_no_file_is_refused_like_any_other(path: str, references: Snapshots) -> None:
    assert refusal(references, path).detail == refusal(references, "none.png").detail


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_whatever_the_file_system_allows_is_a_name(name: str, references: Snapshots, space: Path) -> None:
    (space / name).write_bytes(INSIDE)
    for path in (spelt(name), f"./{spelt(name)}", spelt(str(space / name))):
        (snapshot,) = references.snapshot([path])
        assert (snapshot.source, references.load(snapshot)) == (spelt(str(space / name)), INSIDE)
        assert ReferenceSnapshot.model_validate_json(snapshot.model_dump_json()) == snapshot


@pytest.mark.parametrize(("path", "name"), ALIKE.values(), ids=ALIKE)
def test_a_name_may_be_spelt_in_characters_that_look_the_same(
    path: str, name: str, references: Snapshots, space: Path
) -> None:
    (space / name).parent.mkdir(exist_ok=True)
    (space / name).write_bytes(INSIDE)
    (snapshot,) = references.snapshot([path])
    assert snapshot.source == str(space / name)
    (space / path).parent.mkdir(exist_ok=True)
    (space / path).write_bytes(other := picture("green"))
    assert read(references, path) == other  # as it is written goes before


def test_of_two_files_that_look_the_same_none_is_guessed(references: Snapshots, space: Path) -> None:
    for name in ("blue\u00a0fox.png", "blue\u202ffox.png"):
        (space / name).write_bytes(INSIDE)
    assert refusal(references, "blue fox.png").code == "reference_outside_roots"


def test_an_artifact_is_called_as_it_is(references: Snapshots, space: Path) -> None:
    """A name that only looks like an artifact's would escape the look at whose it is."""
    (space / "img_0123456789ab.png").write_bytes(INSIDE)
    assert refusal(references, "\uff49mg_0123456789ab.png").code == "reference_outside_roots"


def test_what_looks_the_same_is_not_looked_for_outside(
    references: Snapshots, space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = space.parent / "outside"
    (outside / "r\u00e9d.png").write_bytes(OUTSIDE)
    (space / "lin\u0303k").symlink_to(outside)
    scan = Mock(side_effect=os.scandir)
    monkeypatch.setattr("contract.artifacts.reference_names.os.scandir", scan)
    for path in ("../outside/re\u0301d.png", f"{outside}/re\u0301d.png", "li\u00f1k/re\u0301d.png", "li\u00f1k/x.png"):
        assert refusal(references, path).code == "reference_outside_roots", path
    assert [call.args for call in scan.call_args_list] == [(space,)] * 2


def test_home_is_where_the_process_has_it(references: Snapshots, space: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(space))
    assert read(references, "~/in.png") == INSIDE
    assert refusal(references, "~/../outside/x.png").code == "reference_outside_roots"
    assert refusal(references, "~").code == "reference_not_a_file"
    (space / "~").mkdir()
    (space / "~" / "in.png").write_bytes(other := picture("green"))
    assert read(references, "~/in.png") == other


def test_b09_an_unreadable_file_is_refused(references: Snapshots, monkeypatch: pytest.MonkeyPatch) -> None:
    error = PermissionError(13, "Permission denied")  # root, as in a container, may read everything
    monkeypatch.setattr("contract.artifacts.reference_files.os.open", Mock(side_effect=error))
    assert refusal(references, "in.png").code == "reference_unreadable"


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_bytes(OUTSIDE)], ids=["deleted", "changed"])
def test_b09_a_snapshot_outlives_its_file(change: Callable[[Path], object], references: Snapshots, space: Path) -> None:
    (snapshot,) = references.snapshot(["in.png"])
    change(space / "in.png")
    assert references.load(snapshot) == INSIDE


@pytest.mark.parametrize(
    "data",
    [b"", b"just text", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7", b"\0\0\0\x1cftypavif", INSIDE[:45]],
    ids=["empty", "text", "svg", "pdf", "avif", "truncated"],
)
def test_b10_a_file_that_is_no_image_is_refused(data: bytes, references: Snapshots, space: Path) -> None:
    (space / "odd.png").write_bytes(data)
    assert refusal(references, "odd.png").code == "reference_not_an_image"


def test_b10_a_bomb_is_refused(references: Snapshots, space: Path) -> None:
    (space / "bomb.png").write_bytes(png.png(9_000, 9_000))
    error = refusal(references, "bomb.png")
    assert (error.code, error.detail) == ("reference_too_large", "A reference image may have at most 64 megapixels.")


def test_b10_the_label_of_an_image_does_not_matter(references: Snapshots, space: Path) -> None:
    (space / "label.png").write_bytes(picture(kind="WEBP"))
    assert references.snapshot(["label.png"])[0].mime == "image/webp"


def test_b11_one_file_and_all_together_have_a_cap(references: Snapshots, space: Path) -> None:
    for name, colour in (("a", "red"), ("b", "green"), ("c", "blue")):
        heavy(space / name, MAX_TOGETHER // 3 + 1, colour)
    heavy(space / "d", MAX_EACH + 1)
    assert len(references.snapshot(["a", "b"])) == 2
    error = refusal(references, "a", "b", "c")
    assert (error.code, error.detail) == (
        "reference_too_large",
        f"Reference images may have at most {MAX_TOGETHER // MIB} MiB together.",
    )
    assert refusal(references, "d").detail == f"A reference image may have at most {MAX_EACH // MIB} MiB."


def test_snapshots_are_kept_once_by_their_content_and_for_us_alone(references: Snapshots, space: Path) -> None:
    (space / "same.png").write_bytes(INSIDE)
    one, other = references.snapshot(["in.png", "same.png"])
    assert one.sha256 == other.sha256 == hashlib.sha256(INSIDE).hexdigest()
    assert (one.source, one.mime, one.bytes) == (str(space / "in.png"), "image/png", len(INSIDE))
    inputs = space.parent / "inputs"
    (kept,) = inputs.iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(inputs.stat().st_mode) == 0o700


def test_a_refused_reference_leaves_nothing_behind(references: Snapshots, space: Path) -> None:
    (space / "odd.png").write_bytes(b"text")
    refusal(references, "odd.png")
    assert not (space.parent / "inputs").exists()


def test_a_snapshot_is_as_young_as_its_last_use(references: Snapshots, space: Path) -> None:
    references.snapshot(["in.png"])
    (kept,) = (space.parent / "inputs").iterdir()
    written = kept.stat().st_ino
    os.utime(kept, (1, 1))
    references.snapshot(["in.png"])
    assert time.time() - kept.stat().st_mtime < 60
    assert kept.stat().st_ino == written


def test_a_snapshot_that_cannot_be_touched_is_written_anew(
    references: Snapshots, space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (snapshot,) = references.snapshot(["in.png"])
    kept = space.parent / "inputs" / snapshot.sha256
    written = kept.stat().st_ino
    monkeypatch.setattr(
        "contract.artifacts.local_directory.derived_files.os.utime",
        Mock(side_effect=PermissionError(1, "not the owner")),
    )
    assert references.snapshot(["in.png"]) == (snapshot,)
    assert kept.stat().st_ino != written
    assert references.load(snapshot) == INSIDE


def test_a_snapshot_has_a_temporary_name_until_it_is_whole_and_on_a_full_disk_none(
    references: Snapshots, space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str | None] = []

    def fail(_: int) -> None:
        seen.extend(meant_name(path.name) for path in (space.parent / "inputs").iterdir())
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("contract.artifacts.atomic_file.os.fsync", fail)
    with pytest.raises(Refused) as refusal:
        references.snapshot(["in.png"])
    assert refusal.value.code == "storage_full"
    assert seen == [hashlib.sha256(INSIDE).hexdigest()]
    assert list((space.parent / "inputs").iterdir()) == []
