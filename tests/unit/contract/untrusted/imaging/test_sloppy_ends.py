"""A whole picture whose file ends sloppily is taken, and written with a proper end; one that is cut is none."""

import io
import re
import struct
import zlib

import pytest
from PIL import Image
from simulator.pictures import animation, png
from simulator.pictures.corpus import ROWS, specimen
from simulator.pictures.corpus_good import save, scene
from simulator.pictures.corpus_sloppy import WHOLE

from contract.untrusted.imaging.inspect import NotAnImage, adopt, clean, convert, inspect, shrink
from tests.support.factories.image_files import MIMES, noise

MOVING = {"save_all": True, "append_images": [noise(), noise()]}
KINDS: list[tuple[str, dict[str, object], int]] = [  # and how many bytes an end has that needs no pixels
    ("PNG", {}, 12),
    ("PNG", MOVING, 12),
    ("JPEG", {}, 2),
    ("JPEG", {"progressive": True}, 2),
    ("JPEG", {"restart_marker_rows": 1}, 2),
    ("WEBP", {}, 0),
    ("WEBP", {"lossless": True}, 0),
    ("GIF", {}, 1),
]


def pixels(data: bytes) -> list[bytes]:
    """Decode all frames."""
    found = []
    with Image.open(io.BytesIO(data), formats=tuple(MIMES)) as image:
        for frame in range(getattr(image, "n_frames", 1)):
            image.seek(frame)
            found.append(image.convert("RGBA").tobytes())
    return found


def mended(data: bytes) -> bytes:
    """Clean a picture, and make sure that what comes back is whole for everybody."""
    info, made = clean(data)
    assert clean(made) == (info, made)
    assert inspect(data) == info
    assert adopt(data)[1] == made
    return made


@pytest.mark.parametrize("name", ROWS["sloppy"])
def test_a_sloppy_end_is_made_good(name: str) -> None:
    good = WHOLE[name.partition("_")[0]]()
    made = mended(specimen(name))
    assert pixels(made) == pixels(good)
    assert len(made) <= len(good) + 100


@pytest.mark.parametrize("name", ROWS["sloppy"])
def test_small_copies_and_other_formats_are_made_of_it_too(name: str) -> None:
    assert shrink(specimen(name), side=20)
    assert pixels(convert(specimen(name), mime="image/png" if "webp" in name else "image/webp"))


@pytest.mark.parametrize(("kind", "options", "end"), KINDS, ids=lambda value: str(value)[:12])
@pytest.mark.parametrize("picture", [scene((40, 30)), noise()], ids=["scene", "noise"])
def test_p59_a_file_that_is_cut_anywhere_is_whole_or_refused(
    picture: Image.Image, kind: str, options: dict[str, object], end: int
) -> None:
    data = save(picture, kind, **options)
    expected = pixels(data)
    taken = []
    for missing in range(1, len(data)):
        try:
            made = clean(data[:-missing])[1]
        except NotAnImage:
            continue
        assert pixels(made) == expected
        taken.append(missing)
    assert [*range(1, end + 1)] == taken[:end]
    assert len(taken) < 25


@pytest.mark.parametrize(("kind", "begin"), [("GIF", b"\x21\xf9\x04"), ("WEBP", b"ANMF")])
def test_p59_an_animation_is_not_cut_within_a_frame(kind: str, begin: bytes) -> None:
    data = save(scene((40, 30)), kind, **MOVING)
    second, third = (match.start() for match in list(re.finditer(re.escape(begin), data))[-2:])
    for length in (second + 1, second + 7, second + 40, third - 40, third + 1, third + 8, len(data) - 40):
        with pytest.raises(NotAnImage):
            clean(data[:length])


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("kind", MIMES)
@pytest.mark.parametrize("tail", [bytes(64), b"\r\n", b"\xff\xd9"], ids=["zeros", "newline", "end"])
def test_p59_what_is_cut_is_not_made_whole_by_padding(tail: bytes, kind: str, share: float) -> None:
    data = save(noise(), kind)
    with pytest.raises(NotAnImage):
        clean(data[: int(share * len(data))].rstrip(b"\xff") + tail)


def test_p59_a_progressive_jpeg_without_its_last_scans_is_cut() -> None:
    data = save(scene(), "JPEG", progressive=True)
    scans = [at for at in range(len(data)) if data[at : at + 2] == b"\xff\xda"]
    for at in scans[2:]:
        with pytest.raises(NotAnImage):
            clean(data[: data.rindex(b"\xff\xc4", 0, at)])


def rows(extra: bytes, *, checksum: bytes | None = None, interlaced: int = 0) -> bytes:
    """Make a PNG of noise with some bytes more than its rows, and perhaps another checksum of them."""
    header = png.chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, interlaced))
    packed = zlib.compress(b"".join(b"\0" + noise((64, 1)).tobytes() for _ in range(64)) + extra)
    packed = packed if checksum is None else packed[:-4] + checksum
    return png.SIGNATURE + header + png.chunk(b"IDAT", packed) + png.END


@pytest.mark.parametrize("extra", [1, 3, 192])
def test_bytes_behind_the_last_row_are_cut(extra: int) -> None:
    assert clean(mended(rows(bytes(extra))))[0].height == 64


@pytest.mark.parametrize(
    "data", [rows(bytes(193)), rows(bytes(10**6)), rows(b"", checksum=b"abcd"), rows(b"", checksum=bytes(4))]
)
def test_p59_rows_too_many_or_with_a_wrong_checksum_are_damage(data: bytes) -> None:
    with pytest.raises(NotAnImage):
        inspect(data)


def test_a_missing_checksum_of_the_rows_is_none_that_is_wrong() -> None:
    assert pixels(mended(rows(b"", checksum=b"")))


def test_an_apng_keeps_its_frames_without_its_end() -> None:
    data = animation.apng(5)
    assert mended(data[:-12]) == data
    with pytest.raises(NotAnImage):
        clean(data[: data.rindex(b"fcTL") - 4])


def test_of_a_jpeg_with_several_pictures_the_first_needs_no_end() -> None:
    first, second = save(noise(), "JPEG"), save(noise((900, 900)), "JPEG", quality=100)
    assert mended(first[:-2] + second) == first
