"""Only the picture, its colours and where it comes from stay in a file, and not one pixel changes."""

import io
import re
import struct
import zlib

import pytest
from PIL import Image
from simulator.pictures import animation, png
from simulator.pictures.corpus import ROWS, specimen
from simulator.pictures.corpus_good import exif, save, scene

from contract.untrusted.imaging import read, strip
from contract.untrusted.imaging.inspect import inspect
from tests.support.factories.image_files import MIMES, TAKEN, into_jpeg, noise

PROFILE = bytes(36) + b"acsp" + bytes(100)
TAILS = [b"PK\x05\x06" + bytes(18), b"<script>alert(1)</script>", b"\xff\xd8\xff\xd9", b"\0", b";;", b"\n"]


def pixels(data: bytes) -> list[tuple[str, tuple[int, int], bytes]]:
    """Decode all frames; of a JPEG the first picture only."""
    found = []
    with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP", "GIF")) as image:
        for frame in range(1 if image.format in ("JPEG", "MPO") else getattr(image, "n_frames", 1)):
            image.seek(frame)
            shown = image.convert("RGBA") if image.mode == "P" else image
            found.append((shown.mode, shown.size, shown.tobytes()))
    return found


def stripped(data: bytes) -> bytes:
    """Strip as a worker does, and make sure that nothing but the outside changed."""
    info = inspect(data)
    clean = strip(data, info.mime, orientation=info.orientation)
    assert pixels(clean) == pixels(data)
    assert inspect(clean) == info
    assert strip(clean, info.mime, orientation=info.orientation) is clean
    return clean


def with_segments(*segments: tuple[int, bytes]) -> bytes:
    return into_jpeg(b"".join(struct.pack(">BBH", 0xFF, marker, 2 + len(body)) + body for marker, body in segments))


def with_chunks(*chunks: tuple[bytes, bytes], flags: int = 0) -> bytes:
    """Make an extended WebP with chunks behind its picture."""
    size = struct.pack("<HBHB", 319, 0, 239, 0)
    parts = [(b"VP8X", struct.pack("<I", flags) + size), *chunks]
    picture = specimen("good_webp")[12:]
    packed = [name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2) for name, body in parts]
    body = packed[0] + picture + b"".join(packed[1:])
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def before_the_frames(extra: bytes) -> bytes:
    whole = specimen("good_gif")
    return whole[: whole.index(b"\x2c", 13 + 768)] + extra + whole[whole.index(b"\x2c", 13 + 768) :]


@pytest.mark.parametrize("name", TAKEN)
def test_every_picture_of_the_catalogue_keeps_its_pixels(name: str) -> None:
    clean = stripped(specimen(name))
    assert not re.search(rb"script|php|evil|PK\x03\x04|Simulator|GPS", clean, re.IGNORECASE)


@pytest.mark.parametrize("name", [*ROWS["good"], "png_c2pa", "jpeg_c2pa", "png_16_bit", "progressive_jpeg"])
def test_p67_what_has_nothing_to_hide_comes_back_as_it_is(name: str) -> None:
    data = specimen(name)
    assert stripped(data) is data


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("name", ROWS["good"])
def test_p62_what_follows_the_end_is_cut(name: str, tail: bytes) -> None:
    assert stripped(specimen(name) + tail) == specimen(name)


@pytest.mark.parametrize("name", [b"tEXt", b"zTXt", b"iTXt", b"tIME", b"eXIf", b"prIv", b"oFFs", b"gIFx"])
def test_p62_png_metadata_go(name: bytes) -> None:
    data = png.insert(specimen("good_png"), png.chunk(name, b"key\0\0" + zlib.compress(b"text")))
    assert stripped(data) == specimen("good_png")


COLOURS = {
    b"gAMA": struct.pack(">I", 45455),
    b"cHRM": bytes(32),
    b"sRGB": b"\0",
    b"iCCP": b"ICC\0\0" + zlib.compress(PROFILE),
    b"sBIT": b"\x08\x08\x08",
    b"cICP": b"\x01\x0d\0\x01",
    b"pHYs": bytes(9),
    b"tRNS": bytes(6),
    b"bKGD": bytes(6),
    b"sPLT": b"name\0\x08",
    b"mDCv": bytes(24),
    b"cLLi": bytes(8),
    b"caBX": b"manifest",
}


@pytest.mark.parametrize("name", COLOURS)
def test_p67_png_colours_and_provenance_stay(name: bytes) -> None:
    data = png.insert(specimen("good_png"), png.chunk(name, COLOURS[name]))
    assert stripped(data) is data


@pytest.mark.parametrize(
    ("marker", "body"),
    [
        (0xFE, b"<?php ?>"),
        (0xE0, b"JFXX\0\x10thumbnail"),
        (0xE0, b"JFIF\0short"),
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>"),
        (0xE1, b"Exif\0\0" + bytes(20)),
        (0xE2, b"MPF\0" + bytes(20)),
        (0xE2, b"FPXR\0"),
        (0xEB, b"HDR_RI ver=11"),
        (0xED, b"Photoshop 3.0\0"),
        (0xEE, b"Adobe\0cut"),
        (0xEF, b""),
        (0xDC, b"\0\xf0"),
    ],
)
def test_p62_jpeg_metadata_go(marker: int, body: bytes) -> None:
    data = with_segments((marker, body))
    assert strip(data, "image/jpeg") == specimen("good_jpeg")
    assert inspect(data) == inspect(specimen("good_jpeg"))


@pytest.mark.parametrize(
    ("marker", "body"),
    [(0xE2, b"ICC_PROFILE\0\x01\x01" + PROFILE), (0xEB, b"JP\0\x01\0\0\0\x01"), (0xEE, b"Adobe\0\x64\0\0\0\0\x01")],
)
def test_p67_jpeg_colours_and_provenance_stay(marker: int, body: bytes) -> None:
    data = with_segments((marker, body))
    assert stripped(data) is data


def test_the_thumbnail_in_jfif_goes() -> None:
    whole = specimen("good_jpeg")
    thumbnail = struct.pack(">BBH", 0xFF, 0xE0, 16 + 12) + whole[6:18] + b"\2\2" + b"private!!!!!"
    assert stripped(whole[:2] + thumbnail + whole[20:]) == whole


def test_of_a_jpeg_with_several_pictures_the_first_stays() -> None:
    data = save(noise(), "MPO", save_all=True, append_images=[noise(), noise()])
    clean = stripped(data)
    assert len(clean) < len(data) / 2
    assert clean.count(b"\xff\xd8\xff") == 1


@pytest.mark.parametrize(
    "options",
    [
        {"progressive": True},
        {"restart_marker_rows": 1},
        {"restart_marker_blocks": 2, "progressive": True},
        {"optimize": True, "quality": 100},
        {"keep_rgb": True},
    ],
    ids=str,
)
def test_any_kind_of_jpeg_keeps_its_pixels(options: dict[str, object]) -> None:
    data = save(noise((100, 80)), "JPEG", **options)
    assert stripped(data) is data
    assert stripped(data + b"tail") == data


def test_fill_and_junk_between_jpeg_segments_go() -> None:
    whole = specimen("good_jpeg")
    second = 20  # the first is JFIF's
    for junk in (b"\xff" * 9, b"\0\1\2", b"\xff\0\xff\0"):
        assert stripped(whole[:second] + junk + whole[second:]) == whole
    filled = whole[:-2] + b"\xff" * 5 + whole[-2:]
    assert stripped(filled) is filled


@pytest.mark.parametrize("name", [b"EXIF", b"XMP ", b"EVIL", b"\0\0\0\0"])
def test_p62_webp_metadata_go_and_the_header_says_so(name: bytes) -> None:
    clean = stripped(with_chunks((name, b"odd"), flags=0x1C))
    assert clean == with_chunks(flags=0x10)


def test_p67_webp_colours_and_provenance_stay() -> None:
    data = with_chunks((b"C2PA", b"manifest"), flags=0x10)
    assert stripped(data) is data
    simple = specimen("good_webp") + b"C2PA" + struct.pack("<I", 4) + b"mani"
    simple = simple[:4] + struct.pack("<I", len(simple) - 8) + simple[8:]
    assert stripped(simple) is simple
    profiled = save(scene(), "WEBP", icc_profile=PROFILE)
    assert stripped(profiled) is profiled


def test_p62_chunks_hidden_in_a_webp_frame_go() -> None:
    whole = animation.webp(3)
    begin = whole.index(b"ANMF")
    (length,) = struct.unpack_from("<I", whole, begin + 4)
    hidden = b"EVIL" + struct.pack("<I", 6) + b"script"
    frame = b"ANMF" + struct.pack("<I", length + len(hidden)) + whole[begin + 8 : begin + 8 + length] + hidden
    body = whole[8:begin] + frame + whole[begin + 8 + length :]
    assert stripped(b"RIFF" + struct.pack("<I", len(body)) + body) == whole


@pytest.mark.parametrize(
    "extra",
    [
        b"\x21\xfe\x05hello\0",
        b"\x21\xff\x0bXMP DataXMP\x04evil\0",
        b"\x21\xff\x0bNETSCAPE2.0\x02\x01\0\0",
        b"\x21\x01\x0c" + bytes(12) + b"\x04text\0",
        b"\x21\x42\x01x\0",
        b"\x21\x42\0",
    ],
)
def test_p62_gif_extensions_go(extra: bytes) -> None:
    data = before_the_frames(extra)
    assert strip(data, "image/gif") == specimen("good_gif")
    assert inspect(data) == inspect(specimen("good_gif"))


@pytest.mark.parametrize("name", [b"NETSCAPE2.0", b"ANIMEXTS1.0"])
def test_a_gif_goes_on_repeating_itself_and_hides_nothing_in_that(name: bytes) -> None:
    loop = b"\x21\xff\x0b" + name + b"\x03\x01\x07\0"
    control = b"\x21\xf9\x04\x01\x05\0\x03"
    data = before_the_frames(loop + b"\0" + control + b"\0")
    assert stripped(data) is data
    assert stripped(before_the_frames(loop + b"\x04evil\0" + control + b"\x04evil\0")) == data


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_p67_of_exif_only_the_orientation_stays(kind: str, orientation: int) -> None:
    data = save(scene(), kind, exif=exif(orientation=orientation, gps=True))
    clean = stripped(data)
    with Image.open(io.BytesIO(clean)) as image:
        assert dict(image.getexif()) == ({} if orientation == 1 else {0x0112: orientation})
    assert strip(clean, MIMES[kind]) == strip(data, MIMES[kind])


def test_a_simple_webp_is_not_turned_by_exif() -> None:
    whole = specimen("good_webp")
    chunk = b"EXIF" + struct.pack("<I", 26) + exif(orientation=6).tobytes()[6:32]
    data = whole[:4] + struct.pack("<I", len(whole) - 8 + len(chunk)) + whole[8:] + chunk
    assert stripped(data) == whole


def test_only_the_first_exif_data_count() -> None:
    two = [(0xE1, exif(orientation=orientation).tobytes()) for orientation in (6, 3)]
    assert read(with_segments(*two), "image/jpeg").orientation == 6


@pytest.mark.parametrize(("name", "mime"), [("good_gif", "image/gif"), ("good_webp", "image/webp")])
def test_where_there_is_no_place_for_an_orientation_none_can_be_written(name: str, mime: str) -> None:
    with pytest.raises(ValueError, match="place"):
        strip(specimen(name), mime, orientation=6)


@pytest.mark.parametrize("orientation", [-1, 0, 9])
def test_an_orientation_goes_from_1_to_8(orientation: int) -> None:
    with pytest.raises(ValueError, match="orientation"):
        strip(specimen("good_png"), "image/png", orientation=orientation)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
def test_an_animation_keeps_all_its_frames(kind: str) -> None:
    data = save(noise(), kind, save_all=True, append_images=[noise(), noise()], duration=40, loop=2)
    assert stripped(data) is data
    assert len(pixels(stripped(data + b"tail"))) == 3


def test_a_still_before_an_animation_stays() -> None:
    data = save(noise(), "PNG", save_all=True, default_image=True, append_images=[noise(), noise()])
    assert stripped(data) is data
