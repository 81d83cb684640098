"""Image and sidecar on disk: where they lie, who may read them, and that one artifact is never two."""

import json
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contract.artifacts.layout import folder_parts
from contract.artifacts.local_directory.local_directory import LocalDirectory
from contract.artifacts.local_directory.lookup import find_image, read_sidecar
from contract.artifacts.local_directory.pair_writer import PairWriter
from contract.artifacts.sidecar import Sidecar
from contract.errors.exceptions import Refused
from contract.jobs.ids import artifact_id, is_artifact_id
from contract.jobs.job import Outcome
from tests.support.factories.ended_job import a_job
from tests.support.factories.jobs import attempt
from tests.support.factories.sidecars import a_sidecar

JOB_ID = "6f1c9a52-7a0e-4a3b-9a58-000000000001"
WHEN = datetime(2026, 3, 4, 12, tzinfo=UTC)
JOB = a_job(id=JOB_ID, created_at=WHEN)


@pytest.fixture
def media(tmp_path: Path) -> Path:
    return tmp_path / "instance" / "media"


@pytest.fixture
def writer(media: Path) -> PairWriter:
    return PairWriter(media=media, save_dir="generated")


def sidecar(writer: PairWriter, data: bytes, *, extension: str = "png", index: int = 0) -> Sidecar:
    """Describe an image as the worker does."""
    name = artifact_id(JOB_ID, index)
    return a_sidecar(
        data,
        id=name,
        path=str(writer.folder(JOB) / f"{name}.{extension}"),
        source_images=("/workspace/in.png",),
        job_id=JOB_ID,
        index=index,
        attempts=(attempt(Outcome.DELIVERED),),
        cost_usd=0.04,
    )


def save(writer: PairWriter, data: bytes = b"image", *, extension: str = "png") -> Sidecar:
    return writer.put(JOB, sidecar(writer, data, extension=extension), data)


def names(writer: PairWriter) -> list[str]:
    return sorted(path.name for path in writer.folder(JOB).iterdir())


def test_an_artifact_lies_in_the_directory_of_its_local_day(writer: PairWriter, media: Path) -> None:
    saved = save(writer)
    day = WHEN.astimezone().strftime("%Y-%m-%d")
    assert Path(saved.path) == media / "generated" / day / f"{artifact_id(JOB_ID, 0)}.png"
    assert Path(saved.path).read_bytes() == b"image"
    assert names(writer) == [f"{saved.id}.json", f"{saved.id}.png"]


def test_the_sidecar_begins_with_the_seeds_eight_fields(writer: PairWriter) -> None:
    saved = save(writer)
    text = Path(saved.path).with_suffix(".json").read_text("utf-8")
    fields = json.loads(text)
    assert list(fields) == [
        *("id", "path", "mime", "prompt", "model", "provider", "source_images", "created_at"),
        *("job_id", "index", "width", "height", "sha256", "bytes", "requested", "delivered", "degraded"),
        *("attempts", "cost_usd", "warnings"),
    ]
    assert fields["source_images"] == ["/workspace/in.png"]
    assert fields["id"].startswith("img_")
    assert Sidecar.model_validate_json(text) == saved


def test_only_the_owner_may_read_what_is_stored(writer: PairWriter, media: Path) -> None:
    before = os.umask(0)
    try:
        saved = save(writer)
    finally:
        os.umask(before)
    folders = [media, media / "generated", writer.folder(JOB)]
    files = [Path(saved.path), Path(saved.path).with_suffix(".json")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


@pytest.mark.parametrize("extension", ["png", "jpg"])
def test_of_two_saves_of_an_artifact_the_first_one_stands(extension: str, writer: PairWriter) -> None:
    first = save(writer, b"first")
    assert save(writer, b"second", extension=extension) == first
    assert Path(first.path).read_bytes() == b"first"
    assert names(writer) == [f"{first.id}.json", f"{first.id}.png"]


def test_saving_the_very_same_again_changes_nothing(writer: PairWriter) -> None:
    first = save(writer)
    before = Path(first.path).stat().st_ino
    assert save(writer) == first
    assert Path(first.path).stat().st_ino == before


def test_an_image_without_a_sidecar_is_of_a_killed_worker_and_is_replaced(writer: PairWriter) -> None:
    first = save(writer, b"first")
    Path(first.path).with_suffix(".json").unlink()
    second = save(writer, b"second")
    assert writer.complete(JOB, first.id) == second
    assert Path(second.path).read_bytes() == b"second"


def test_a_sidecar_without_its_image_is_never_passed_off_as_whole(writer: PairWriter) -> None:
    first = save(writer, b"first")
    Path(first.path).unlink()
    second = save(writer, b"second")
    assert writer.complete(JOB, first.id) == second
    assert Path(second.path).read_bytes() == b"second"


@pytest.mark.parametrize("damaged", ["png", "json"])
@pytest.mark.parametrize("damage", [b"", b"\x00" * 9, b"[]"], ids=["empty", "zeros", "list"])
@pytest.mark.parametrize("extension", ["png", "jpg"])
def test_a_pair_that_was_damaged_is_replaced(damaged: str, damage: bytes, extension: str, writer: PairWriter) -> None:
    first = save(writer, b"first")
    Path(first.path).with_suffix(f".{damaged}").write_bytes(damage)
    second = save(writer, b"second", extension=extension)
    assert writer.complete(JOB, first.id) == second
    assert names(writer) == sorted([f"{first.id}.json", f"{first.id}.{extension}"])


def test_the_picture_of_a_damaged_sidecar_is_left(writer: PairWriter) -> None:
    first = save(writer)
    assert writer.salvage(JOB, first.id) == b"image"
    Path(first.path).with_suffix(".json").unlink()
    assert writer.salvage(JOB, first.id) is None  # a killed worker's: nobody was told that it is whole
    assert writer.salvage(JOB, artifact_id(JOB_ID, 1)) is None


def test_images_of_one_job_stand_beside_each_other(writer: PairWriter) -> None:
    for index in range(3):
        writer.put(JOB, sidecar(writer, b"image", index=index), b"image")
    assert len(names(writer)) == 6


@pytest.mark.parametrize("part", ["generated", "day"])
def test_b13_a_directory_that_is_a_link_is_refused(part: str, writer: PairWriter, media: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = media / "generated" if part == "generated" else writer.folder(JOB)
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere)
    with pytest.raises(OSError, match=r"symbolic links|Not a directory"):
        save(writer)
    assert list(elsewhere.rglob("*")) == []


def test_b13_a_link_under_the_images_name_is_not_written_through(writer: PairWriter, tmp_path: Path) -> None:
    target = tmp_path / "target.png"
    target.write_bytes(b"precious")
    writer.folder(JOB).mkdir(parents=True)
    (writer.folder(JOB) / f"{artifact_id(JOB_ID, 0)}.png").symlink_to(target)
    save(writer, b"image")
    assert target.read_bytes() == b"precious"


def test_the_media_directory_itself_may_be_a_link(media: Path, writer: PairWriter, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    media.parent.mkdir()
    media.symlink_to(tmp_path / "disk")
    assert read_sidecar(Path(save(writer).path).with_suffix(".json")) is not None


def test_b76_a_media_directory_that_cannot_be_made_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    writer = PairWriter(media=tmp_path / "file" / "media", save_dir="generated")
    with pytest.raises(OSError, match="Not a directory"):
        save(writer)


@pytest.mark.parametrize("failing", ["write", "fsync", "link"])
def test_b76_a_full_disk_leaves_nothing_half_done(
    failing: str, writer: PairWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    class Full:
        def __init__(self, descriptor: int) -> None:
            self.descriptor = descriptor

        def __enter__(self) -> "Full":
            return self

        def __exit__(self, *_: object) -> None:
            os.close(self.descriptor)

        write = fail

    if failing == "write":
        monkeypatch.setattr("contract.artifacts.atomic_file.os.fdopen", lambda descriptor, _: Full(descriptor))
    else:
        monkeypatch.setattr(f"contract.artifacts.atomic_file.os.{failing}", fail)
    with pytest.raises(OSError, match="No space left"):
        save(writer)
    monkeypatch.undo()
    assert names(writer) == []
    assert writer.complete(JOB, artifact_id(JOB_ID, 0)) is None


def test_no_descriptor_stays_open(writer: PairWriter) -> None:
    save(writer)
    before = len([*Path("/dev/fd").iterdir()])
    for _ in range(5):
        save(writer)
    assert len([*Path("/dev/fd").iterdir()]) == before


def _broken(path: Path) -> None:
    path.with_suffix(".json").write_text("{")


def _nul(path: Path) -> None:
    record = path.with_suffix(".json")
    record.write_text(record.read_text().replace(str(path), "x\\u0000y"))


def _nanobots_own(path: Path) -> None:
    record = path.with_suffix(".json")
    record.write_text(json.dumps(dict(list(json.loads(record.read_text()).items())[:8])))


@pytest.mark.parametrize(
    "spoil",
    [
        *(Path.unlink, lambda path: path.write_bytes(b"other"), lambda path: path.with_suffix(".json").unlink()),
        *(_broken, _nul, _nanobots_own),
    ],
    ids=["image-gone", "image-changed", "sidecar-gone", "sidecar-broken", "path-with-nul", "nanobots-own"],
)
def test_a_sidecar_whose_pair_is_not_whole_is_ignored(spoil: Callable[[Path], object], writer: PairWriter) -> None:
    saved = save(writer)
    assert writer.complete(JOB, saved.id) == saved
    spoil(Path(saved.path))
    assert writer.complete(JOB, saved.id) is None


async def test_deleting_takes_both_away_and_may_be_repeated(writer: PairWriter, media: Path) -> None:
    saved = save(writer)
    directory = LocalDirectory(media=media, save_dir="generated", home=media / "home")
    await directory.delete(saved.path)
    assert names(writer) == []
    await directory.delete(saved.path)


def test_an_image_is_found_on_any_day(writer: PairWriter, media: Path) -> None:
    saved = save(writer)
    assert find_image(media, "generated", saved.id) == Path(saved.path)
    assert find_image(media, "generated", "img_000000000000") is None


def test_the_id_of_an_artifact_follows_from_job_and_index() -> None:
    ids = {artifact_id(job, index) for job in ("a", "b") for index in range(8)}
    assert len(ids) == 16
    assert all(is_artifact_id(name) for name in ids)
    assert artifact_id("a", 0) == artifact_id("a", 0)


@pytest.mark.parametrize(
    "text", ["img_", "img_0123456789ag", "img_0123456789ab\n", "IMG_0123456789AB", "ximg_0123456789ab"]
)
def test_what_only_looks_like_an_artifact_id_is_none(text: str) -> None:
    assert not is_artifact_id(text)


def test_b13_the_parts_of_a_directory_are_plain_names() -> None:
    assert folder_parts("art/made/", WHEN) == ("art", "made", "2026-03-04")
    with pytest.raises(Refused):
        folder_parts("art/../../made", WHEN)
