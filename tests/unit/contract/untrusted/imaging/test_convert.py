"""A picture takes another form, and what is no part of one is left out."""

import pytest
from PIL import Image, ImageChops, ImageStat
from simulator.pictures import png
from simulator.pictures.corpus import ROWS, specimen
from simulator.pictures.corpus_good import save, scene

from contract.untrusted.imaging.inspect import CONVERTIBLE, NotAnImage, TooLarge, clean, convert, inspect
from tests.support.factories.image_files import opened

KINDS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}


@pytest.mark.parametrize("mime", sorted(CONVERTIBLE))
@pytest.mark.parametrize("name", [*ROWS["good"], "cmyk_jpeg", "png_palette_alpha", "gif_10_frames"])
def test_every_picture_takes_every_form(name: str, mime: str) -> None:
    data = specimen(name)
    made, info = opened(convert(data, mime=mime)), inspect(data)
    assert (made.format, made.size) == (KINDS[mime], (info.width, info.height))
    if name == "good_png":
        assert max(ImageStat.Stat(ImageChops.difference(made.convert("RGB"), scene())).mean) < 3


def test_what_is_of_this_form_stays_as_it_is_unless_a_quality_is_asked_for() -> None:
    data = specimen("good_jpeg")
    assert convert(data, mime="image/jpeg") is data
    assert len(convert(data, mime="image/jpeg", quality=10)) < len(data)
    assert convert(specimen("good_png"), mime="image/png", quality=10) is specimen("good_png")


@pytest.mark.parametrize("mime", ["image/jpeg", "image/webp"])
def test_a_lower_quality_makes_a_smaller_file(mime: str) -> None:
    sizes = [len(convert(specimen("good_png"), mime=mime, quality=quality)) for quality in (0, 50, 100)]
    assert sizes == sorted(set(sizes))


def test_what_one_can_see_through_stays_so_or_is_white() -> None:
    data = save(Image.new("RGBA", (64, 64), (255, 0, 0, 0)), "PNG")
    assert opened(convert(data, mime="image/webp")).getchannel("A").getextrema() == (0, 0)
    assert opened(convert(data, mime="image/jpeg")).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("mime", sorted(CONVERTIBLE - {"image/jpeg"}))
def test_a_picture_is_set_upright_and_loses_its_metadata(mime: str) -> None:
    made = opened(convert(specimen("jpeg_exif_rotated"), mime=mime))
    assert (made.size, dict(made.getexif())) == ((240, 320), {})


def test_what_is_too_long_for_webp_is_told() -> None:
    data = png.png(16_384, 64)
    with pytest.raises(TooLarge):
        convert(data, mime="image/webp")
    assert inspect(convert(data, mime="image/jpeg")).width == 16_384


@pytest.mark.parametrize(("mime", "quality"), [("image/gif", None), ("image/jpeg", -1), ("image/png", 101)])
def test_what_cannot_be_encoded_is_the_callers_fault(mime: str, quality: int | None) -> None:
    with pytest.raises(ValueError, match="cannot be encoded so"):
        convert(specimen("good_png"), mime=mime, quality=quality)


def test_cleaning_decodes_and_takes_away() -> None:
    info, data = clean(specimen("png_zip_tail"))
    assert (info, data) == (inspect(specimen("good_png")), specimen("good_png"))
    assert clean(data)[1] is data
    with pytest.raises(NotAnImage):
        clean(data[: len(data) // 2])
