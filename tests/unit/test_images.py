"""The door to Pillow: whole images come in whatever they are called, and nothing else, and bombs not at all."""

import io
import struct
import time
import zlib

import pytest
from PIL import Image, PngImagePlugin

from contract.images import EXTENSIONS, MAX_BYTES, MAX_FRAMES, ImageInfo, NotAnImage, TooLarge, inspect

QUICK_S = 1.5
MIMES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif"}


def noise(size: tuple[int, int] = (40, 30), mode: str = "RGB") -> Image.Image:
    return Image.effect_noise(size, 90).convert(mode)


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


def tiny_gif(frames: int, width: int = 1, height: int = 1) -> bytes:
    """Make a GIF by hand whose frames have 15 bytes each."""
    header = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return header + frame * frames + b";"


@pytest.mark.parametrize("kind", MIMES)
def test_the_four_formats_are_described_by_their_bytes(kind: str) -> None:
    info = inspect(encode(kind))
    assert info == ImageInfo(mime=MIMES[kind], width=40, height=30, frames=1)
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


@pytest.mark.parametrize(("kind", "frames"), [("GIF", 10), ("WEBP", 10), ("PNG", 3), ("GIF", MAX_FRAMES)])
def test_p66_animations_are_taken(kind: str, frames: int) -> None:
    assert inspect(encode(kind, frames=frames)).frames == frames


@pytest.mark.parametrize("kind", MIMES)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_p59_a_truncated_image_is_none(kind: str, share: float) -> None:
    data = encode(kind)
    with pytest.raises(NotAnImage):
        inspect(data[: int(share * len(data))])


def test_p59_a_png_without_its_end_is_none() -> None:
    with pytest.raises(NotAnImage):
        inspect(encode("PNG")[:-12])


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


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"GIF89a",
        b"<svg xmlns='http://www.w3.org/2000/svg' width='10' height='10'/>",
        b"<!doctype html><img src=x onerror=alert(1)>",
        b"%PDF-1.7\n%%EOF",
        b"PK\x03\x04" + bytes(100),
        b"\x7fELF" + bytes(100),
        b"\0\0\0\x1cftypavif" + bytes(100),
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"\xff\xd8\xff\xe0" + bytes(100),
        encode("TIFF"),
        encode("BMP"),
        encode("PDF"),
        encode("ICO"),
        encode("PPM"),
        encode("EPS"),
    ],
    ids=lambda data: repr(data[:8]),
)
def test_p61_anything_else_is_no_image(data: bytes) -> None:
    with pytest.raises(NotAnImage):
        inspect(data)


@pytest.mark.parametrize("kind", MIMES)
def test_p62_a_foreign_tail_does_not_change_what_it_is(kind: str) -> None:
    assert inspect(encode(kind) + b"<script>alert(1)</script>").mime == MIMES[kind]


BOMBS = [
    pytest.param(png(50_000, 50_000), id="50000x50000-header"),
    pytest.param(png(1, 1_000_000), id="1x1000000-header"),
    pytest.param(png(2**31 - 1, 2**31 - 1), id="largest-header"),
    pytest.param(png(9000, 9000, depth=1, body=bytes(9000 * 1126)), id="9000x9000-1-bit"),
    pytest.param(png(13_000, 13_000, depth=1, body=bytes(13_000 * 1626)), id="13000x13000-1-bit"),
    pytest.param(tiny_gif(MAX_FRAMES + 1), id="201-frames"),
    pytest.param(tiny_gif(100_000), id="100000-frames"),
    pytest.param(tiny_gif(20, 6000, 6000), id="720-Mpx-in-frames"),
    pytest.param(tiny_gif(1, 65_535, 65_535), id="gif-canvas"),
    pytest.param(bytes(MAX_BYTES + 1), id="too-many-bytes"),
]


@pytest.mark.parametrize("data", BOMBS)
def test_p63_p64_p66_a_bomb_is_refused_quickly(data: bytes) -> None:
    begun = time.process_time()
    with pytest.raises(TooLarge):
        inspect(data)
    assert time.process_time() - begun < QUICK_S


@pytest.mark.parametrize("name", [b"zTXt", b"iTXt", b"iCCP"])
def test_p65_a_bomb_in_a_text_chunk_never_unfolds(name: bytes) -> None:
    packed = zlib.compress(bytes(50 * 2**20), 9)
    heads = {b"zTXt": b"key\0\0", b"iTXt": b"key\0\1\0\0\0", b"iCCP": b"name\0\0"}
    bomb = png(8, 8, body=bytes(8 * 9), before=chunk(name, heads[name] + packed))
    begun = time.process_time()
    with pytest.raises(NotAnImage):
        inspect(bomb)
    assert time.process_time() - begun < QUICK_S


def test_p65_fifty_thousand_chunks_are_read_quickly() -> None:
    begun = time.process_time()
    info = inspect(png(8, 8, body=bytes(8 * 9), before=chunk(b"prIv", b"x") * 50_000))
    assert info.width == 8
    assert time.process_time() - begun < QUICK_S


@pytest.mark.parametrize(("width", "height"), [(0, 0), (0, 8), (8, 0)])
def test_p63_an_image_without_pixels_is_none(width: int, height: int) -> None:
    with pytest.raises(NotAnImage):
        inspect(png(width, height))


def test_an_honest_large_picture_is_taken() -> None:
    file = io.BytesIO()
    Image.new("L", (6000, 6000)).save(file, "PNG", compress_level=1)
    assert inspect(file.getvalue()) == ImageInfo(mime="image/png", width=6000, height=6000, frames=1)


def test_text_and_orientation_are_no_hindrance() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("prompt", "a fox", zip=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    assert inspect(encode("PNG", pnginfo=text)).width == 40
    assert inspect(encode("JPEG", exif=exif)).width == 40
