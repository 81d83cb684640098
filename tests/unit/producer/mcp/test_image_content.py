"""How much of an image an answer has."""

from __future__ import annotations

import base64
import io
from typing import Any, cast

import pytest
from PIL import Image as Pillow

from contract.errors.catalogue.request import ARTIFACT_NOT_FOUND
from contract.errors.exceptions import Refused
from contract.jobs.job import Image
from producer.client.client import Darkroom
from producer.error_catalogue import UPLOAD_IMAGE_TOO_LARGE
from producer.imaging.sandbox import ImageSandbox
from producer.imaging.thumbnails import Thumbnails
from producer.imaging.turns import Asker
from producer.mcp.image_content import ImageContents
from tests.support.artifacts.memory_store import MemoryArtifacts
from tests.support.factories.ended_job import a_job
from tests.support.factories.sidecars import a_sidecar


class Door:
    """A door behind which images are kept."""

    def __init__(self) -> None:
        self.owner = "ann"
        self.owner_images = self
        self.artifacts = MemoryArtifacts()

    async def find(self, artifact: str) -> str:
        """Find an image."""
        if found := await self.artifacts.find(artifact):
            return found
        raise Refused(ARTIFACT_NOT_FOUND)

    async def lay(self, *images: bytes) -> list[Image]:
        """Keep images."""
        made = []
        for number, data in enumerate(images):
            sidecar = a_sidecar(data, id=f"img_{number:012x}", path=f"memory:img_{number:012x}.png")
            made.append((await self.artifacts.put(a_job(), sidecar, data)).image())
        return made


class Copies:
    """Makes copies and thumbnails of given sizes, in bytes."""

    def __init__(self, *, copy: int, small: int) -> None:
        self._copy = copy
        self._small = small

    async def convert(self, _: bytes, *, mime: str, quality: int, asker: Asker) -> bytes:
        """Make a copy."""
        assert (mime, quality, asker.owner) == ("image/webp", 90, "ann")
        if not self._copy:
            raise Refused(UPLOAD_IMAGE_TOO_LARGE)
        return b"c" * self._copy

    async def find(self, _: object, __: str, *, side: int, asker: Asker) -> tuple[bytes, str]:
        """Make a thumbnail, of fewer bytes where it is smaller."""
        assert asker.owner == "ann"
        return b"s" * (self._small * side // 128), "image/jpeg"


async def printed(*sizes: int, most: int, copy: int = 0, small: int = 0) -> list[Any]:
    """Print images; answer the first byte, the number of bytes, and the type of each."""
    copies: Any = Copies(copy=copy, small=small)
    prints, door = ImageContents(copies, copies, most_bytes=most), Door()
    found = await prints.of(cast(Darkroom, door), await door.lay(*(b"o" * size for size in sizes)))
    read = [one and base64.b64decode(one.data) for one in found]
    return [
        (data[:1], len(data), one.mime, one.is_original) for data, one in zip(read, found, strict=True) if data and one
    ]


async def test_originals_stay_as_long_as_they_fit() -> None:
    assert await printed(10, 30, most=40, copy=5) == [
        (b"o", 10, "image/png", True),
        (b"o", 30, "image/png", True),
    ]


async def test_a_copy_has_the_size_in_pixels_where_it_fits() -> None:
    assert await printed(50, 10, most=40, copy=20) == [
        (b"c", 20, "image/webp", False),
        (b"o", 10, "image/png", True),
    ]


@pytest.mark.parametrize("copy", [0, 100])
async def test_else_the_largest_thumbnail_that_fits_is_shown(copy: int) -> None:
    assert await printed(50, most=40, copy=copy, small=6) == [(b"s", 24, "image/jpeg", False)]
    assert await printed(50, most=4, copy=copy, small=6) == [(b"s", 6, "image/jpeg", False)]


async def test_an_image_that_is_gone_leaves_room_for_others() -> None:
    door = Door()
    found = await door.lay(b"o" * 10, b"o" * 10)
    await door.artifacts.delete(found[0].path)
    copies: Any = Copies(copy=0, small=1)
    prints = await ImageContents(copies, copies, most_bytes=10).of(cast(Darkroom, door), found)
    assert [one is not None for one in prints] == [False, True]


async def test_a_real_picture_becomes_a_real_copy() -> None:
    file = io.BytesIO()
    Pillow.effect_noise((64, 64), 60).convert("RGB").resize((512, 512)).save(file, "PNG")
    data = file.getvalue()
    door = Door()
    found = await door.lay(data)
    async with ImageSandbox() as pictures:
        prints = ImageContents(pictures, Thumbnails(door.artifacts, pictures), most_bytes=len(data) - 1)
        [one] = await prints.of(cast(Darkroom, door), found)
    assert one is not None
    assert base64.b64decode(one.data)[8:12] == b"WEBP"
    assert (one.mime, one.is_original) == ("image/webp", False)
