"""A reference that a provider finds too large is made smaller, and still looks the same (row P39)."""

import struct

import pytest
from PIL import Image, ImageChops, ImageStat
from simulator.pictures.corpus import specimen
from simulator.pictures.corpus_good import exif, save, scene

from contract.untrusted.imaging.inspect import NotAnImage, inspect, shrink
from tests.support.factories.image_files import opened


def difference(one: Image.Image, other: Image.Image) -> float:
    """Measure how much two pictures differ on average, in levels of 256."""
    one, other = (picture.convert("RGB").resize((16, 12), Image.Resampling.BOX) for picture in (one, other))
    return max(ImageStat.Stat(ImageChops.difference(one, other)).mean)


def half_seen() -> Image.Image:
    return Image.merge("RGBA", [*scene().split(), scene(mode="L")])


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "JPEG"])
def test_a_picture_becomes_a_small_jpeg(kind: str) -> None:
    smaller = opened(shrink(save(scene(), kind), side=100))
    assert (smaller.format, smaller.size) == ("JPEG", (100, 75))
    assert difference(smaller, scene()) < 6


@pytest.mark.parametrize(
    ("mode", "kind"), [("CMYK", "JPEG"), ("L", "JPEG"), ("L", "PNG"), ("1", "PNG"), ("P", "PNG"), ("RGBA", "PNG")]
)
def test_every_kind_of_colour_becomes_a_jpeg(mode: str, kind: str) -> None:
    picture = scene(mode=mode)
    smaller = opened(shrink(save(picture, kind), side=160))
    assert smaller.format == "JPEG"
    assert difference(smaller, picture) < 6


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_what_one_can_see_through_stays_so(kind: str) -> None:
    smaller = opened(shrink(save(half_seen(), kind), side=100))
    assert (smaller.format, smaller.mode, smaller.size) == ("PNG", "RGBA", (100, 75))
    assert difference(smaller.getchannel("A"), half_seen().getchannel("A")) < 3


def test_a_palette_one_can_see_through_stays_so() -> None:
    data = save(scene(mode="P"), "PNG", transparency=bytes(range(256)))
    assert opened(shrink(data, side=100)).mode == "RGBA"


def test_sixteen_bits_become_eight() -> None:
    levels = struct.pack("<2H", 30_000, 30_500) * 3200
    smaller = opened(shrink(save(Image.frombytes("I;16", (80, 80), levels), "PNG"), side=40))
    assert difference(smaller, Image.new("L", (40, 40), 118)) < 2


def test_a_small_picture_does_not_grow() -> None:
    assert opened(shrink(specimen("good_png"), side=4000)).size == (320, 240)


@pytest.mark.parametrize(
    ("orientation", "corner"),
    [(1, (0, 0)), (2, (1, 0)), (3, (1, 1)), (4, (0, 1)), (5, (0, 0)), (6, (1, 0)), (7, (1, 1)), (8, (0, 1))],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_picture_is_upright(kind: str, orientation: int, corner: tuple[int, int]) -> None:
    picture = Image.new("RGB", (80, 40))
    picture.paste("white", (0, 0, 20, 10))  # the top left as it is stored
    smaller = opened(shrink(save(picture, kind, exif=exif(orientation=orientation)), side=40))
    assert smaller.size == ((40, 20) if orientation < 5 else (20, 40))
    expected = Image.new("L", (2, 2))
    expected.putpixel(corner, 255)
    seen = smaller.convert("L").resize((2, 2), Image.Resampling.BOX).point(lambda level: 255 if level > 30 else 0)
    assert seen.tobytes() == expected.tobytes()
    assert inspect(shrink(save(picture, kind, exif=exif(orientation=orientation)), side=40)).orientation == 1


@pytest.mark.parametrize(("space", "is_kept"), [(b"RGB ", True), (b"CMYK", False)])
def test_nothing_but_the_colours_is_told(space: bytes, is_kept: bool) -> None:
    profile = bytes(16) + space + bytes(200)
    smaller = shrink(save(scene(), "JPEG", icc_profile=profile, comment=b"secret", exif=exif(gps=True)), side=100)
    assert opened(smaller).info.get("icc_profile") == (profile if is_kept else None)
    assert b"secret" not in smaller
    assert b"Exif" not in smaller


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_taken(kind: str) -> None:
    first = Image.new("RGB", (40, 30), "red")
    data = save(first, kind, save_all=True, append_images=[scene((40, 30))])
    assert difference(opened(shrink(data, side=20)), first) < 3


@pytest.mark.parametrize("name", ["bomb_13000", "truncated_jpeg", "svg", "gif_800_mpx"])
def test_what_is_no_reference_is_refused(name: str) -> None:
    with pytest.raises(NotAnImage):
        shrink(specimen(name), side=100)


def test_a_side_has_one_pixel_at_least() -> None:
    with pytest.raises(ValueError, match="pixel"):
        shrink(specimen("good_png"), side=0)
