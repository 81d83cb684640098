"""A reference looks to every provider as people see it: upright, not too large, and as a PNG, JPEG, WebP or GIF."""

import random
import sys
from collections.abc import Callable

import pillow_heif
import pytest
from PIL import Image, ImageChops, ImageOps, ImageStat
from simulator.pictures import png
from simulator.pictures.corpus import ROWS, specimen
from simulator.pictures.corpus_good import exif, save, scene

from contract.untrusted.imaging.inspect import (
    REFERENCE_SIDE,
    ImageInfo,
    NotAllowed,
    NotAnImage,
    TooLarge,
    adopt,
    clean,
    inspect,
)
from contract.untrusted.imaging.iso_media import HeicUnreadable
from tests.support.factories.image_files import MIMES, noise, opened, tiny_gif

pillow_heif.register_heif_opener()  # and writer

ISO_MEDIA = ["AVIF", "HEIF"]
LARGE = (8000, 6000)  # pixels: 48 million


def difference(one: Image.Image, other: Image.Image) -> float:
    """Measure how much two pictures differ on average, in levels of 256."""
    assert one.size == other.size
    return max(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean)


def lying(orientation: int, size: tuple[int, int] = (160, 90)) -> Image.Image:
    """Make a picture that looks like `scene` once it is turned as EXIF's number says."""
    back = {6: 8, 8: 6}.get(orientation, orientation)
    picture = scene(size).copy()
    picture.getexif()[0x0112] = back
    turned = ImageOps.exif_transpose(picture)
    turned.getexif().clear()
    return turned


def adopted(data: bytes) -> tuple[Image.Image, ImageInfo]:
    """Adopt a picture, and make sure that what is told of it is true and that nothing more has to be done to it."""
    info, made = adopt(data)
    assert (info.orientation, inspect(made)) == (1, info)
    assert adopt(made)[1] is made
    assert b"Exif" not in made
    return opened(made), info


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize(("kind", "becomes"), [("JPEG", "JPEG"), ("PNG", "PNG"), ("WEBP", "JPEG"), ("AVIF", "JPEG")])
def test_what_lies_on_its_side_is_turned(kind: str, becomes: str, orientation: int) -> None:
    data = save(lying(orientation), kind, exif=exif(orientation=orientation, gps=True))
    picture, info = adopted(data)
    assert (info.width, info.height, picture.format) == (160, 90, becomes)
    assert difference(picture, scene((160, 90))) < 4


def test_a_turned_png_loses_nothing() -> None:
    picture = noise((70, 50), "RGBA")
    data = save(picture, "PNG", exif=exif(orientation=3))
    assert opened(adopt(data)[1]).tobytes() == picture.transpose(Image.Transpose.ROTATE_180).tobytes()


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_a_jpeg_of_other_colours_is_turned_too(mode: str) -> None:
    picture, _ = adopted(save(scene((160, 90), mode), "JPEG", exif=exif(orientation=8)))
    assert picture.size == (90, 160)


def test_a_turned_photo_is_hardly_larger() -> None:
    photo = scene((800, 600))
    data = save(Image.blend(photo, noise((800, 600)), 0.2), "JPEG", quality=92, exif=exif(orientation=6))
    assert len(adopt(data)[1]) < 1.2 * len(data)


@pytest.mark.parametrize("name", [*ROWS["good"], *ROWS["P62"], "png_c2pa", "gif_10_frames", "webp_10_frames"])
def test_what_stands_upright_is_only_cleaned(name: str) -> None:
    info, data = clean(specimen(name))
    assert adopt(specimen(name)) == (info, data)
    assert adopt(data)[1] is data


def photo(kind: str, **options: object) -> Callable[[], bytes]:
    return lambda: save(scene((400, 300)).resize(LARGE), kind, **options)


def test_a_photo_of_48_megapixels_is_made_smaller() -> None:
    data = save(scene((400, 300)).resize(LARGE), "JPEG", quality=60)
    with pytest.raises(TooLarge, match="40 megapixels"):
        clean(data)  # as a provider's answer
    picture, info = adopted(data)
    assert (info.mime, picture.size) == ("image/jpeg", (REFERENCE_SIDE, REFERENCE_SIDE * 3 // 4))
    assert difference(picture.resize((40, 30)), scene((400, 300)).resize((40, 30))) < 4


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the limits be so low that no picture has to be large."""
    monkeypatch.setattr("contract.untrusted.imaging.inspect.MAX_PIXELS", 320 * 240 - 1)
    monkeypatch.setattr("contract.untrusted.imaging.inspect.REFERENCE_SIDE", 100)


@pytest.mark.usefixtures("little")
@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("JPEG", {}), ("JPEG", {"progressive": True})])
def test_what_has_too_many_pixels_is_made_smaller_and_turned(kind: str, options: dict[str, object]) -> None:
    data = save(lying(6, (240, 320)), kind, exif=exif(orientation=6), **options)
    info, made = adopt(data)
    assert (info.mime, info.width, info.height) == ("image/jpeg", 75, 100)
    assert difference(opened(made), scene((240, 320)).resize((75, 100))) < 6


@pytest.mark.usefixtures("little")
@pytest.mark.parametrize("kind", ["WEBP", "GIF"])
def test_other_kinds_keep_their_limit(kind: str) -> None:
    with pytest.raises(TooLarge):
        adopt(save(scene(), kind))


@pytest.mark.usefixtures("little")
def test_p59_what_has_too_many_pixels_and_is_cut_is_refused() -> None:
    data = save(scene(), "JPEG")
    short = png.SIGNATURE + png.header(320, 240) + png.chunk(b"IDAT", png.black(320, 239)) + png.END
    for cut in (data[: len(data) // 2], data[: len(data) // 2] + b"\xff\xd9", data[:-40], short):
        with pytest.raises(NotAnImage):
            adopt(cut)
    assert adopt(data[:-2]) == adopt(data)


@pytest.mark.parametrize(
    ("make", "limit"),
    [
        (lambda: png.png(9_000, 9_000), "64 megapixels"),
        (lambda: png.png(20_000, 10), "16384 pixels a side"),
        (lambda: tiny_gif(201), "200 frames"),
        (lambda: specimen("gif_800_mpx"), "100 megapixels in all of its frames"),
        (lambda: specimen("good_png") + bytes(32 * 2**20), "32 MiB"),
        (lambda: specimen("claims_65535_gif"), "16384 pixels a side"),
    ],
)
def test_the_limit_that_refuses_is_named(make: Callable[[], bytes], limit: str) -> None:
    with pytest.raises(TooLarge) as caught:
        adopt(make())
    assert caught.value.limit == limit


@pytest.mark.parametrize("kind", ISO_MEDIA)
def test_a_photo_of_a_phone_or_a_browser_becomes_a_jpeg(kind: str) -> None:
    picture, info = adopted(save(scene(), kind, quality=90))
    assert info == ImageInfo(mime="image/jpeg", width=320, height=240, frames=1)
    assert difference(picture, scene()) < 6


def test_a_heic_that_lies_on_its_side_is_turned() -> None:
    picture, _ = adopted(save(lying(6), "HEIF", quality=90, exif=exif(orientation=6).tobytes()))
    assert picture.size == (160, 90)
    assert difference(picture, scene((160, 90))) < 6


@pytest.mark.parametrize("kind", ISO_MEDIA)
def test_what_one_can_see_through_stays_so(kind: str) -> None:
    half_seen = Image.merge("RGBA", [*scene().split(), scene(mode="L")])
    picture, info = adopted(save(half_seen, kind, quality=90))
    assert info.mime == "image/png"
    assert difference(picture.getchannel("A"), half_seen.getchannel("A")) < 6


@pytest.mark.parametrize("kind", ISO_MEDIA)
def test_p59_what_is_cut_of_such_a_file_is_refused(kind: str) -> None:
    data = save(scene(), kind, quality=90)
    for length in (20, 100, len(data) // 2, len(data) - 100, len(data) - 1):
        with pytest.raises(NotAnImage):
            adopt(data[:length])
    assert adopt(data + b"\r\n")[0].width == 320


@pytest.mark.parametrize("kind", ISO_MEDIA)
def test_p61_as_a_providers_answer_it_is_another_kind_of_file(kind: str) -> None:
    with pytest.raises(NotAllowed):
        clean(save(scene(), kind, quality=90))


@pytest.mark.parametrize("kind", ISO_MEDIA)
def test_such_a_file_has_its_own_limit_of_pixels(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = save(scene(), kind)
    monkeypatch.setattr("contract.untrusted.imaging.inspect.MAX_ISO_MEDIA_PIXELS", 320 * 240 - 1)
    with pytest.raises(TooLarge, match="megapixels"):
        adopt(data)


@pytest.mark.usefixtures("little")
@pytest.mark.parametrize("kind", ISO_MEDIA)
def test_a_large_one_is_made_smaller(kind: str) -> None:
    assert opened(adopt(save(scene(), kind))[1]).size == (100, 75)


def test_heic_without_the_library_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    data = save(scene(), "HEIF")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(HeicUnreadable):
        adopt(data)


@pytest.mark.parametrize("name", ["avif_like", "heic_like", "mp4_like"])
def test_what_only_begins_like_that_is_none(name: str) -> None:
    with pytest.raises(NotAnImage):
        adopt(specimen(name))


@pytest.mark.parametrize("kind", [*MIMES, *ISO_MEDIA])
def test_damage_raises_no_other_error(kind: str) -> None:
    data = save(noise(), kind)
    chance = random.Random(7)
    for _ in range(100):
        damaged = bytearray(data)
        for _ in range(3):
            damaged[chance.randrange(8, len(data))] = chance.randrange(256)
        try:
            info, made = adopt(bytes(damaged))
        except NotAnImage:
            continue
        assert inspect(made).width == info.width
