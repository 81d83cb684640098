"""How much of an image an answer has."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any, cast

import pytest
from PIL import Image as Pillow

from contract.errors.exceptions import Refused
from contract.errors.request_catalogue import ARTIFACT_NOT_FOUND
from contract.jobs.job import Image
from producer.client.client import Darkroom
from producer.error_catalogue import UPLOAD_IMAGE_TOO_LARGE
from producer.imaging.sandbox import ImageSandbox
from producer.imaging.thumbnails import Thumbnails
from producer.mcp.image_content import ImageContents
from tests.support.factories.ended_job import a_job


class Door:
    """A door behind which images lie in a folder."""

    def __init__(self, folder: Path) -> None:
        self.owner_images = self
        self._folder = folder

    async def find(self, artifact: str) -> Path:
        """Find an image."""
        path = self._folder / f"{artifact}.png"
        if not path.exists():
            raise Refused(ARTIFACT_NOT_FOUND)
        return path


class Copies:
    """Makes copies and thumbnails of given sizes, in bytes."""

    def __init__(self, folder: Path, *, copy: int, small: int) -> None:
        self._folder = folder
        self._copy = copy
        self._small = small

    async def convert(self, _: bytes, *, mime: str, quality: int) -> bytes:
        """Make a copy."""
        assert (mime, quality) == ("image/webp", 90)
        if not self._copy:
            raise Refused(UPLOAD_IMAGE_TOO_LARGE)
        return b"c" * self._copy

    async def find(self, _: object, __: Path, *, side: int) -> tuple[Path, str]:
        """Make a thumbnail, of fewer bytes where it is smaller."""
        path = self._folder / "small"
        path.write_bytes(b"s" * (self._small * side // 128))
        return path, "image/jpeg"


def images(folder: Path, *sizes: int) -> list[Image]:
    """Lay images of so many bytes into a folder."""
    [image] = a_job().images
    made = [image.model_copy(update={"id": f"img_{number}", "bytes": size}) for number, size in enumerate(sizes)]
    for one in made:
        (folder / f"{one.id}.png").write_bytes(b"o" * one.bytes)
    return made


async def printed(folder: Path, *sizes: int, most: int, copy: int = 0, small: int = 0) -> list[Any]:
    """Print images; answer the first byte, the number of bytes, and the type of each."""
    copies: Any = Copies(folder, copy=copy, small=small)
    prints = ImageContents(copies, copies, most_bytes=most)
    found = await prints.of(cast(Darkroom, Door(folder)), images(folder, *sizes))
    read = [one and base64.b64decode(one.data) for one in found]
    return [
        (data[:1], len(data), one.mime, one.is_original) for data, one in zip(read, found, strict=True) if data and one
    ]


@pytest.fixture(autouse=True)
def sidecars(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let images have sidecars."""
    monkeypatch.setattr("producer.mcp.image_content.read_record", lambda path: path)


async def test_originals_stay_as_long_as_they_fit(tmp_path: Path) -> None:
    assert await printed(tmp_path, 10, 30, most=40, copy=5) == [
        (b"o", 10, "image/png", True),
        (b"o", 30, "image/png", True),
    ]


async def test_a_copy_has_the_size_in_pixels_where_it_fits(tmp_path: Path) -> None:
    assert await printed(tmp_path, 50, 10, most=40, copy=20) == [
        (b"c", 20, "image/webp", False),
        (b"o", 10, "image/png", True),
    ]


@pytest.mark.parametrize("copy", [0, 100])
async def test_else_the_largest_thumbnail_that_fits_is_shown(copy: int, tmp_path: Path) -> None:
    assert await printed(tmp_path, 50, most=40, copy=copy, small=6) == [(b"s", 24, "image/jpeg", False)]
    assert await printed(tmp_path, 50, most=4, copy=copy, small=6) == [(b"s", 6, "image/jpeg", False)]


async def test_an_image_that_is_gone_leaves_room_for_others(tmp_path: Path) -> None:
    found = images(tmp_path, 10, 10)
    (tmp_path / f"{found[0].id}.png").unlink()
    copies: Any = Copies(tmp_path, copy=0, small=1)
    prints = await ImageContents(copies, copies, most_bytes=10).of(cast(Darkroom, Door(tmp_path)), found)
    assert [one is not None for one in prints] == [False, True]


async def test_a_real_picture_becomes_a_real_copy(tmp_path: Path) -> None:
    file = io.BytesIO()
    Pillow.effect_noise((64, 64), 60).convert("RGB").resize((512, 512)).save(file, "PNG")
    data = file.getvalue()
    image = images(tmp_path, len(data))[0]
    (tmp_path / f"{image.id}.png").write_bytes(data)
    async with ImageSandbox() as pictures:
        prints = ImageContents(pictures, Thumbnails(tmp_path / "thumbnails", pictures), most_bytes=len(data) - 1)
        [one] = await prints.of(cast(Darkroom, Door(tmp_path)), [image])
    assert one is not None
    assert base64.b64decode(one.data)[8:12] == b"WEBP"
    assert (one.mime, one.is_original) == ("image/webp", False)
