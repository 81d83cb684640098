"""Mutants at the door to Pillow: refused as what they are, or whole and fit to be written; quickly, in little room."""

from __future__ import annotations

import io
import resource
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from PIL import Image

from contract.untrusted.imaging import strip
from contract.untrusted.imaging.inspect import (
    MAX_FRAMES,
    ImageInfo,
    NotAnImage,
    inspect,
    shrink,
)
from contract.untrusted.imaging.limits import EXTENSIONS, MAX_PIXELS, MAX_SIDE
from tests.fuzz.inputs.mutants import Edit, Mutant

_MOST_S = 5.0  # of CPU: other work may go on on this machine
_MOST_BYTES = 2**30  # what the reader's process may have (`contract/untrusted/sandbox_process.py`)
_SIDE = 48
_COMPARED_PIXELS = 1_000_000
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024

# An indexed PNG whose palette comes behind its pixels: `inspect` took it, and `shrink` did not.
LATE_PALETTE = Mutant("palette_png", (Edit("swap", 8, 8, b"", ""),), True)


@contextmanager
def _bounded() -> Iterator[None]:
    began, room = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.process_time() - began < _MOST_S, "too slow"
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - room) * _RSS_UNIT < _MOST_BYTES, "too much memory"


def _assert_fair(info: ImageInfo) -> None:
    assert info.mime in EXTENSIONS
    assert 1 <= min(info.width, info.height) <= max(info.width, info.height) <= MAX_SIDE
    assert info.width * info.height <= MAX_PIXELS
    assert 1 <= info.frames <= MAX_FRAMES
    assert 1 <= info.orientation <= 8


def _assert_stripped(data: bytes, info: ImageInfo) -> None:
    """Assert that a picture stays the same without what is no part of it."""
    try:
        clean = strip(data, info.mime, orientation=info.orientation)
    except ValueError:
        assert info.orientation != 1, "only an orientation may have no place"
        return
    again = inspect(clean)
    assert (again.mime, again.width, again.height) == (info.mime, info.width, info.height)
    assert (again.frames, again.orientation) == (info.frames, info.orientation)
    assert again.is_blank == info.is_blank
    assert strip(clean, info.mime, orientation=info.orientation) == clean
    if info.width * info.height <= _COMPARED_PIXELS:
        assert _pixels(data) in (None, _pixels(clean)), "other pixels"


def _pixels(data: bytes) -> bytes | None:
    """Decode the first frame; None where Pillow stumbles over what we would leave out."""
    file, formats = io.BytesIO(data), ("PNG", "JPEG", "WEBP", "GIF")
    quietly = warnings.catch_warnings(action="ignore")
    with suppress(OSError, SyntaxError), quietly, Image.open(file, formats=formats) as image:
        return image.convert("RGBA").tobytes()
    return None


def _assert_shrunk(data: bytes) -> None:
    small = inspect(shrink(data, side=_SIDE))
    assert small.mime in ("image/jpeg", "image/png")
    assert max(small.width, small.height) <= _SIDE
    assert (small.frames, small.orientation) == (1, 1)


def assert_harmless(mutant: Mutant) -> None:
    """Assert that a mutant is refused or good, for every one of our functions."""
    data = mutant.data
    with _bounded():
        try:
            info = inspect(data)
        except NotAnImage:
            info = None
    if info is None:
        with _bounded():
            try:
                _assert_shrunk(data)
            except NotAnImage:
                return
        return
    _assert_fair(info)
    with _bounded():
        _assert_stripped(data, info)
    with _bounded():
        _assert_shrunk(data)


def no_mutant_of_png_does_harm(mutant: Mutant) -> None:
    """Check PNG and APNG."""
    assert_harmless(mutant)


def no_mutant_of_jpeg_does_harm(mutant: Mutant) -> None:
    """Check JPEG and MPO."""
    assert_harmless(mutant)


def no_mutant_of_webp_does_harm(mutant: Mutant) -> None:
    """Check WebP."""
    assert_harmless(mutant)


def no_mutant_of_gif_does_harm(mutant: Mutant) -> None:
    """Check GIF."""
    assert_harmless(mutant)


def no_mutant_does_harm_where_it_is_taken_apart(mutant: Mutant) -> None:
    """Check `strip` alone, with every type that the bytes may be said to have."""
    data = mutant.data
    for mime in EXTENSIONS:
        for orientation in (1, 6):
            try:
                clean = strip(data, mime, orientation=orientation)
            except ValueError:
                continue
            assert strip(clean, mime, orientation=orientation) == clean
