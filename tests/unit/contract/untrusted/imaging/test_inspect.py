"""The door to Pillow: whole images come in whatever they are called, and nothing else, and bombs not at all."""

import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFile, PngImagePlugin
from simulator.pictures.corpus import ROWS, specimen
from simulator.pictures.corpus_good import exif, save, scene

from contract.untrusted.imaging.inspect import (
    MAX_FRAMES,
    ImageInfo,
    NotAllowed,
    NotAnImage,
    TooLarge,
    inspect,
    shrink,
)
from contract.untrusted.imaging.limits import EXTENSIONS, MIN_SIDE
from tests.support.factories.image_files import MIMES, noise, tiny_gif


def encode(kind: str, frames: int = 1, mode: str = "RGB", **options: object) -> bytes:
    """Encode noise as an image of this kind."""
    pictures = [noise(mode=mode) for _ in range(frames)]
    more = {"save_all": True, "append_images": pictures[1:]} if frames > 1 else {}
    file = io.BytesIO()
    pictures[0].save(file, kind, **more, **options)
    return file.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, *, depth: int = 8, colour: int = 0, body: bytes = b"", before: bytes = b"") -> bytes:
    """Make a PNG by hand, with any header."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + before + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", MIMES)
def test_the_four_formats_are_described_by_their_bytes(kind: str) -> None:
    info = inspect(encode(kind))
    assert info == ImageInfo(mime=MIMES[kind], width=40, height=30, frames=1, is_blank=False, orientation=1)
    assert info.extension == EXTENSIONS[MIMES[kind]]


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("PNG", "RGBA"), ("PNG", "P"), ("PNG", "1"), ("PNG", "I;16"), ("PNG", "LA"), ("JPEG", "CMYK"), ("JPEG", "L")],
)
def test_p67_every_kind_of_colour_is_taken(kind: str, mode: str) -> None:
    picture = Image.new(mode, (40, 30))
    file = io.BytesIO()
    picture.save(file, kind)
    assert inspect(file.getvalue()).mime == MIMES[kind]


def test_a_jpeg_with_pictures_inside_as_phones_make_them_is_a_jpeg() -> None:
    info = inspect(encode("MPO", frames=2))
    assert (info.mime, info.extension) == ("image/jpeg", "jpg")


@pytest.mark.parametrize(("kind", "frames"), [("GIF", 10), ("WEBP", 10), ("PNG", 3)])
def test_p66_animations_are_taken(kind: str, frames: int) -> None:
    assert inspect(encode(kind, frames=frames)).frames == frames


def test_p66_an_animation_of_the_most_frames_is_taken() -> None:
    assert inspect(tiny_gif(MAX_FRAMES)).frames == MAX_FRAMES


@pytest.mark.parametrize("kind", MIMES)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_p59_a_truncated_image_is_none(kind: str, share: float) -> None:
    data = encode(kind)
    with pytest.raises(NotAnImage):
        inspect(data[: int(share * len(data))])


def test_p59_a_truncated_last_frame_spoils_an_animation() -> None:
    data = encode("GIF", frames=5)
    with pytest.raises(NotAnImage):
        inspect(data[: len(data) - 200])


def test_p59_a_png_with_a_wrong_checksum_is_none() -> None:
    data = bytearray(encode("PNG"))
    place = data.index(b"IDAT") + 40
    data[place] ^= 0xFF
    with pytest.raises(NotAnImage):
        inspect(bytes(data))


@pytest.mark.parametrize("name", [*ROWS["P58"], *ROWS["P59"], *ROWS["P61"]])
def test_p58_p59_p61_what_is_damaged_or_something_else_is_no_image(name: str) -> None:
    with pytest.raises(NotAnImage):
        inspect(specimen(name))


@pytest.mark.parametrize(
    "data",
    [
        *(specimen(name) for name in ROWS["P61"]),
        *(encode(kind) for kind in ("TIFF", "BMP", "PDF", "ICO", "PPM", "EPS")),
        b"RIFF\x24\0\0\0WAVEfmt " + bytes(30),
        b"\x8aMNG\r\n\x1a\n" + bytes(30),
    ],
    ids=lambda data: repr(data[:8]),
)
def test_p61_another_kind_of_file_is_told_from_a_damaged_image(data: bytes) -> None:
    with pytest.raises(NotAllowed):
        inspect(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"GIF89a",
        b" \n" * 50,
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"\x89PNG\n\x1a\n" + bytes(100),
        b"\xff\xd8\xff\xe0" + bytes(100),
        b"GIF88a" + bytes(100),
        b"RIFF\x64\0\0\0WEBP" + bytes(92),
    ],
    ids=lambda data: repr(data[:8]),
)
def test_p58_what_begins_like_ours_or_hardly_begins_is_damaged(data: bytes) -> None:
    with pytest.raises(NotAnImage) as caught:
        inspect(data)
    assert caught.type is NotAnImage


UNUSUAL = [*ROWS["good"], *ROWS["P62"], *(name for name in ROWS["P67"] if "mpx" not in name)]


@pytest.mark.parametrize("name", UNUSUAL)
def test_p60_p62_p67_what_is_unusual_is_taken(name: str) -> None:
    info = inspect(specimen(name))
    assert min(info.width, info.height) >= MIN_SIDE


@pytest.mark.parametrize("kind", MIMES)
def test_p62_a_foreign_tail_does_not_change_what_it_is(kind: str) -> None:
    assert inspect(encode(kind) + b"<script>alert(1)</script>").mime == MIMES[kind]


def test_text_and_orientation_are_no_hindrance() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("prompt", "a fox", zip=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    assert inspect(encode("PNG", pnginfo=text)).width == 40
    assert inspect(encode("JPEG", exif=exif)).width == 40


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_p67_the_orientation_is_told(kind: str, orientation: int) -> None:
    data = save(scene(), kind, exif=exif(orientation=orientation, gps=True))
    info = inspect(data)
    assert (info.orientation, info.width, info.height) == (orientation, 320, 240)


def grey_16(low: int, high: int) -> Image.Image:
    levels = struct.pack("<2H", low, high) * 3200
    return Image.frombytes("I;16", (80, 80), levels)


def see_through_noise() -> Image.Image:
    picture = noise((80, 80), "RGBA")
    picture.putalpha(0)
    return picture


def two_entries(first: int, second: int) -> Image.Image:
    """Make a picture with a palette of two greys and both of them in use."""
    picture = Image.new("P", (80, 80))
    picture.putpalette([first] * 3 + [second] * 3)
    picture.paste(1, (0, 0, 40, 40))
    return picture


def with_dot(mode: str) -> Image.Image:
    picture = Image.new(mode, (2000, 1500))
    picture.putpixel((1999, 1499), 255 if mode in "L1" else (0, 200, 0, 255)[: len(mode)])
    return picture


@pytest.mark.parametrize(
    ("picture", "kind", "expected"),
    [
        (Image.new("RGB", (80, 80), "black"), "PNG", True),
        (Image.new("RGB", (80, 80), "#fff"), "WEBP", True),
        (Image.new("RGB", (81, 83), "#7a6b1c"), "JPEG", True),
        (Image.new("CMYK", (80, 80), (9, 99, 3, 60)), "JPEG", True),
        (Image.new("RGBA", (80, 80), (10, 20, 30, 90)), "PNG", True),
        (see_through_noise(), "PNG", True),
        (two_entries(7, 7), "PNG", True),
        (two_entries(0, 255), "GIF", False),
        (grey_16(30_000, 30_500), "PNG", True),
        (grey_16(30_000, 40_000), "PNG", False),
        (Image.new("1", (80, 80), 1), "PNG", True),
        (with_dot("1"), "PNG", False),
        (with_dot("L"), "PNG", False),
        (with_dot("RGB"), "PNG", False),
        (with_dot("RGBA"), "PNG", False),
        (noise((80, 80), "LA"), "PNG", False),
    ],
)
def test_p69_one_colour_or_nothing_to_be_seen_is_blank(picture: Image.Image, kind: str, expected: bool) -> None:
    assert inspect(save(picture, kind)).is_blank is expected


@pytest.mark.parametrize("name", ROWS["P69"])
def test_p69_the_blanks_of_the_catalogue_are_blank(name: str) -> None:
    assert inspect(specimen(name)).is_blank


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_p69_an_animation_that_begins_blank_is_not(kind: str) -> None:
    data = save(Image.new("RGB", (40, 30)), kind, save_all=True, append_images=[noise()])
    assert not inspect(data).is_blank


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_p59_a_jpeg_that_ends_early_but_properly_is_damaged(mode: str, share: float) -> None:
    whole = save(noise((200, 100), mode), "JPEG")
    scan = whole.rindex(b"\xff\xda") + 14
    cut = whole[: scan + int(share * (len(whole) - scan))].rstrip(b"\xff")
    with pytest.raises(NotAnImage):
        inspect(cut + b"\xff\xd9")


@pytest.mark.parametrize("interlaced", [0, 1])
@pytest.mark.parametrize(("rows", "expected"), [(13, True), (12, False), (14, False)])
def test_p59_a_png_has_as_many_rows_as_it_promises(rows: int, expected: bool, interlaced: int) -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 13, 2, 0, 0, 0, interlaced))
    body = chunk(b"IDAT", zlib.compress(bytes(2 * rows)))
    data = b"\x89PNG\r\n\x1a\n" + header + body + chunk(b"IEND", b"")
    if expected:
        assert inspect(data).height == 13
    else:
        with pytest.raises(NotAnImage):
            inspect(data)


def test_p59_a_host_that_lets_pillow_load_what_is_truncated_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    one_pixel_of_nine = tiny_gif(1, 3, 3).replace(b"\1\0\1\0\0", b"\3\0\3\0\0")
    with pytest.raises(NotAnImage):
        inspect(one_pixel_of_nine)
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_memory_that_is_not_there_means_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    with pytest.raises(TooLarge):
        inspect(encode("PNG"))


BEGINNINGS = (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"RIFF\x40\0\0\0WEBPVP8X")


@given(st.sampled_from(BEGINNINGS), st.binary(max_size=200))
def test_no_bytes_bring_another_error(beginning: bytes, rest: bytes) -> None:
    with pytest.raises(NotAnImage):
        inspect(beginning + rest)
    with pytest.raises(NotAnImage):
        shrink(beginning + rest, side=9)
