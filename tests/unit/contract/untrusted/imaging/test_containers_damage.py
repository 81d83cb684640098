"""A malformed file is refused with ValueError and nothing else, and whatever `inspect` takes can be stripped."""

import contextlib
import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from simulator.pictures import png
from simulator.pictures.corpus import ROWS, SPECIMENS, specimen

from contract.untrusted.imaging import strip
from contract.untrusted.imaging.inspect import NotAnImage, inspect
from tests.support.factories.image_files import MIMES, TAKEN, into_gif, into_jpeg, into_webp

SMALL = [name for name in TAKEN if len(specimen(name)) < 5000]
GIF, JPEG, PNG, WEBP = (specimen(f"good_{kind}") for kind in ("gif", "jpeg", "png", "webp"))


def pixels(data: bytes) -> list[bytes]:
    """Decode all frames as they are seen; of a JPEG the first picture only."""
    found = []
    with Image.open(io.BytesIO(data), formats=tuple(MIMES)) as image:
        for frame in range(1 if image.format in ("JPEG", "MPO") else getattr(image, "n_frames", 1)):
            image.seek(frame)
            found.append(image.convert("RGBA").tobytes())
    return found


def into_png(extra: bytes) -> bytes:
    return png.insert(PNG, extra)


@pytest.mark.parametrize(
    ("data", "mime"),
    [
        (PNG, "image/jpeg"),
        (JPEG, "image/png"),
        (GIF, "image/webp"),
        (WEBP, "image/gif"),
        (PNG, "image/svg+xml"),
        (into_png(png.chunk(b"CgBI", bytes(4))), "image/png"),
        (into_png(png.header(320, 240)), "image/png"),
        (into_png(png.chunk(b"acTL", struct.pack(">II", 5, 0))), "image/png"),
        (png.SIGNATURE + png.END, "image/png"),
        (into_jpeg(b"\xff\xc0\0\x11\x08" + bytes(14)), "image/jpeg"),
        (into_jpeg(b"\xff\xd8"), "image/jpeg"),
        (into_jpeg(b"\xff\xc9\0\2"), "image/jpeg"),
        (into_jpeg(b"\xff\xf7\0\2"), "image/jpeg"),
        (JPEG.replace(b"\xff\xc0", b"\xff\xc3"), "image/jpeg"),
        (b"\xff\xd8\xff\xd9", "image/jpeg"),
        (b"\xff\xd8\xff\xe0\0\1\xff\xd9", "image/jpeg"),
        (b"RIFF\x04\0\0\0WEBP", "image/webp"),
        (into_webp(b"VP8X\x0a\0\0\0" + bytes(4) + b"\x3f\1\0\xef\0\0"), "image/webp"),
        (b"RIFF\x0c\0\0\0WEBPVP8 \0\0\0\0", "image/webp"),
        (b"RIFF\x0c\0\0\0WEBPVP8L\0\0\0\0", "image/webp"),
        (b"GIF89a\1\0\1\0\0\0\0;", "image/gif"),
        (into_gif(b"\1"), "image/gif"),
        (into_gif(b"\x21\xf9\x05" + bytes(6)), "image/gif"),
    ],
)
def test_what_is_malformed_is_refused(data: bytes, mime: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        strip(data, mime)


@pytest.mark.parametrize("mime", MIMES.values())
@given(
    begin=st.sampled_from([specimen(name)[:size] for name in ROWS["good"] for size in (0, 3, 12, 40)]), data=st.data()
)
@settings(max_examples=50)
def test_any_bytes_are_a_file_or_malformed(mime: str, begin: bytes, data: st.DataObject) -> None:
    with contextlib.suppress(ValueError):
        strip(begin + data.draw(st.binary(max_size=100)), mime, orientation=data.draw(st.integers(-1, 10)))


@pytest.mark.filterwarnings("ignore")  # of Pillow about what is stripped away
@given(name=st.sampled_from(SMALL), data=st.data())
@settings(max_examples=100)
def test_a_damaged_picture_that_is_taken_keeps_its_pixels(name: str, data: st.DataObject) -> None:
    """Whatever `inspect` takes, `strip` takes too."""
    whole = specimen(name)
    begin = data.draw(st.integers(0, len(whole) - 1))
    end = data.draw(st.integers(begin, min(len(whole), begin + 300)))
    other = specimen(data.draw(st.sampled_from(SMALL)))
    start = data.draw(st.integers(0, len(other)))
    splice = data.draw(
        st.one_of(st.binary(max_size=20), st.just(other[start : start + 200]), st.just(whole[begin:end]))
    )
    damaged = whole[:begin] + splice + whole[end:]
    try:
        info = inspect(damaged)
    except NotAnImage:
        return
    clean = strip(damaged, info.mime, orientation=info.orientation)
    assert inspect(clean) == info
    assert strip(clean, info.mime, orientation=info.orientation) is clean
    with contextlib.suppress(OSError):  # Pillow minds what is stripped away
        assert pixels(clean) == pixels(damaged)


@pytest.mark.parametrize(
    ("data", "mime"),
    [
        (into_png(png.chunk(b"prIv") * 1000), "image/png"),
        (into_jpeg(b"\xff\xfe\0\2" * 1000), "image/jpeg"),
        (into_webp(b"EVIL\0\0\0\0" * 1000), "image/webp"),
        (into_gif(b"\x21\xfe" + b"\1a" * 1000 + b"\0"), "image/gif"),
    ],
    ids=MIMES,
)
def test_a_heap_of_parts_is_refused(data: bytes, mime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert strip(data, mime) is not None
    monkeypatch.setattr("contract.untrusted.imaging.container.MAX_PARTS", 1000)
    with pytest.raises(ValueError, match="too many"):
        strip(data, mime)


def test_every_specimen_is_a_file_or_malformed() -> None:
    for make in SPECIMENS.values():
        for mime in MIMES.values():
            try:
                strip(make(), mime)
            except ValueError:
                continue
