"""The specimens are what their names say, and cheap to build."""

import io
import re
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import pytest
from PIL import Image
from simulator.pictures import png
from simulator.pictures.corpus import ROWS, SPECIMENS, specimen

FORGIVEN = {"few_rows_png", "early_end_jpeg"}  # Pillow opens them although something is missing
TYPES = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP", "gif": "GIF", "apng": "PNG"}


def load(data: bytes) -> Image.Image:
    """Check and decode all frames of a picture."""
    Image.open(io.BytesIO(data)).verify()
    image = Image.open(io.BytesIO(data))
    for frame in range(getattr(image, "n_frames", 1)):
        image.seek(frame)
        image.load()
    return image


def size_of(data: bytes) -> tuple[int, int]:
    """Read a PNG's size from its header."""
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def test_specimens_are_named_once_and_kept() -> None:
    names = [name for row in ROWS.values() for name in row]

    assert sorted(names) == sorted(SPECIMENS)
    assert specimen("good_gif") is specimen("good_gif")


def test_specimens_are_small_to_send() -> None:
    assert [name for name in SPECIMENS if len(specimen(name)) > 8_000_000] == []


@pytest.mark.parametrize("name", [*ROWS["good"], *ROWS["P62"], *ROWS["P67"]])
def test_good_and_unusual_pictures_can_be_opened(name: str) -> None:
    image = Image.open(io.BytesIO(specimen(name))) if "mpx" in name else load(specimen(name))

    assert [kind for word, kind in TYPES.items() if re.search(rf"(^|_){word}(_|$)", name)] == [image.format]
    assert min(image.size) >= 64


@pytest.mark.parametrize("name", [*ROWS["P58"], *ROWS["P59"]])
def test_damaged_pictures_cannot_be_opened(name: str) -> None:
    if name in FORGIVEN:
        load(specimen(name))
        return
    with pytest.raises((OSError, SyntaxError, IndexError)):
        load(specimen(name))


@pytest.mark.parametrize("name", ROWS["P61"])
def test_foreign_files_are_no_web_pictures(name: str) -> None:
    with pytest.raises(OSError, match="cannot identify"):
        Image.open(io.BytesIO(specimen(name)), formats=["PNG", "JPEG", "WEBP", "GIF"])


@pytest.mark.parametrize(
    ("name", "kind"), [("avif", "AVIF"), ("tiff", "TIFF"), ("psd", "PSD"), ("eps", "EPS"), ("bmp", "BMP")]
)
def test_foreign_files_are_what_they_claim(name: str, kind: str) -> None:
    assert Image.open(io.BytesIO(specimen(name))).format == kind


def test_polyglots_carry_their_other_half() -> None:
    assert specimen("png_zip_tail").startswith(b"\x89PNG")
    assert b"PK\x05\x06" in specimen("png_zip_tail")[-30:]
    assert specimen("gif_jar_tail").startswith(b"GIF8")
    assert b"META-INF/MANIFEST.MF" in specimen("gif_jar_tail")
    assert all(b"<?php" in specimen(name) for name in ("jpeg_php_comment", "jpeg_php_exif"))
    assert specimen("png_html_tail").endswith(b"</html>")


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("claims_50000x50000", (50_000, 50_000)),
        ("claims_1x1000000", (1, 1_000_000)),
        ("claims_0x0", (0, 0)),
        ("bomb_9000", (9_000, 9_000)),
        ("bomb_13000", (13_000, 13_000)),
    ],
)
def test_bombs_claim_their_size(name: str, size: tuple[int, int]) -> None:
    assert size_of(specimen(name)) == size


def test_bomb_is_a_whole_picture() -> None:
    assert zlib.decompress(png.zeros(5_000_000)) == bytes(5_000_000)
    assert load(png.png(900, 700)).size == (900, 700)
    assert len(specimen("bomb_9000")) < 250_000


@pytest.mark.parametrize("name", ["ztxt_bomb", "itxt_bomb", "iccp_bomb"])
def test_text_bombs_trip_pillow(name: str) -> None:
    with pytest.raises(ValueError, match="too large"):
        load(specimen(name))


@pytest.mark.parametrize("kind", ["gif", "webp", "apng"])
def test_animations_have_their_frames(kind: str) -> None:
    frames = {name: Image.open(io.BytesIO(specimen(name))) for name in ROWS["P66"] if name.startswith(kind)}

    counts = [getattr(image, "n_frames", 1) for image in frames.values()]
    wide = frames[f"{kind}_800_mpx"]
    assert counts == [1, 10, 10_000, 200]
    assert wide.width * wide.height * 200 == 800_000_000
    load(specimen(f"{kind}_10_frames"))


def test_unusual_pictures_are_unusual() -> None:
    modes = {name: load(specimen(name)).mode for name in ("cmyk_jpeg", "png_16_bit", "png_palette_alpha")}
    rotated = Image.open(io.BytesIO(specimen("jpeg_exif_rotated"))).getexif()
    places = [Image.open(io.BytesIO(specimen(name))).getexif().get_ifd(0x8825) for name in ("jpeg_gps", "png_gps")]

    assert modes == {"cmyk_jpeg": "CMYK", "png_16_bit": "I;16", "png_palette_alpha": "P"}
    assert rotated[0x0112] == 6
    assert [place[1] for place in places] == ["N", "N"]
    assert b"caBX" in specimen("png_c2pa")


def test_blank_and_tiny_pictures() -> None:
    assert load(specimen("all_black")).convert("L").getextrema() == (0, 0)
    assert load(specimen("all_white")).convert("L").getextrema() == (255, 255)
    assert [load(specimen(name)).size for name in ("one_pixel", "tiny_32")] == [(1, 1), (32, 32)]


def test_exif_loop_ends() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("exif_loop_jpeg", "exif_loop_png", "exif_greedy_jpeg"):
            assert Image.open(io.BytesIO(specimen(name))).getexif().get_ifd(0x8769) is not None


def test_corpus_needs_no_server() -> None:
    script = (
        "import sys, simulator.pictures.corpus; assert not {'asyncio', 'simulator.server.server'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[3], check=True)
