"""Mutants: files that were good, odd or damaged, and have been through a few edits since."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from hypothesis import strategies as st
from PIL import Image
from simulator.pictures.corpus import ROWS, SPECIMENS
from simulator.pictures.corpus_good import encoded, save, scene

from tests.fuzz.inputs.parts import mended, parts, with_rows

_SMALL = (96, 64)
_MAX_BYTES = 40_000
_MAX_REPEATED = 100_000  # else many edits would make files of gigabytes
_BEGINS = {"png": b"\x89PNG", "jpeg": b"\xff\xd8", "webp": b"RIFF", "gif": b"GIF8"}
FORMATS = tuple(_BEGINS)
_ROWS = ("good", "P59", "P62", "P65", "P66", "P67", "P69")


def _small(mode: str = "RGB") -> Image.Image:
    return scene(_SMALL, mode)


def _moving(form: str, mode: str = "RGB", **options: object) -> Callable[[], bytes]:
    def make() -> bytes:
        frames = [_small(mode).rotate(angle) for angle in (0, 90, 180)]
        return save(frames[0], form, save_all=True, append_images=frames[1:], **options)

    return make


def _seen_through(form: str, **options: object) -> Callable[[], bytes]:
    def make() -> bytes:
        picture = _small("RGBA")
        picture.putalpha(_small("L"))
        return save(picture, form, **options)

    return make


# Beside the simulator's: what Pillow writes in other ways, and smaller, so that an edit hits a header more often.
_MORE: dict[str, Callable[[], bytes]] = {
    "small_png": lambda: save(_small(), "PNG"),
    "rgba_png": _seen_through("PNG"),
    "palette_png": lambda: save(_small().quantize(16), "PNG", bits=4, transparency=3),
    "moving_png": _moving("PNG", duration=[10, 20, 30], loop=1),
    "moving_palette_png": _moving("PNG", "L", default_image=True),
    "small_jpeg": lambda: save(_small(), "JPEG"),
    "progressive_cmyk_jpeg": lambda: save(_small("CMYK"), "JPEG", progressive=True),
    "restarting_jpeg": lambda: save(_small(), "JPEG", restart_marker_blocks=2, subsampling=0, comment=b"hello"),
    "profiled_jpeg": lambda: save(_small(), "JPEG", icc_profile=b"x" * 200, dpi=(72, 72)),
    "mpo": _moving("MPO"),
    "lossy_webp": lambda: save(_small(), "WEBP", quality=50),
    "alpha_webp": _seen_through("WEBP", quality=50),
    "moving_webp": _moving("WEBP", quality=30),
    "moving_lossless_webp": _moving("WEBP", "RGBA", lossless=True, background=(1, 2, 3, 4)),
    "small_gif": lambda: save(_small(), "GIF", interlace=True, comment=b"hello"),
    "moving_gif": _moving("GIF", duration=[10, 20, 30], loop=0, disposal=[1, 2, 3]),
    "clear_gif": lambda: save(_small("P"), "GIF", transparency=0, interlace=False),
    "profiled_webp": encoded("WEBP", icc_profile=b"x" * 200, exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0"),
}


@cache
def bases() -> dict[str, bytes]:
    """Make the files that mutants are made of: good, odd and damaged ones, but none that are large."""
    wanted = {name: SPECIMENS[name] for row in _ROWS for name in ROWS[row] if "800_mpx" not in name}
    made = {name: make() for name, make in {**_MORE, **wanted}.items()}
    return {name: data for name, data in made.items() if len(data) <= _MAX_BYTES}


def names(form: str) -> list[str]:
    """Name the files of one format, damaged ones too."""
    return sorted(name for name, data in bases().items() if data.startswith(_BEGINS[form]))


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit of a file; `at`, `size` and `data` mean what each kind makes of them."""

    kind: str
    at: int
    size: int
    data: bytes
    other: str

    def apply(self, file: bytes) -> bytes:
        """Change a copy of the file."""
        if self.kind in _PART_EDITS:
            pieces = parts(file)
            # The first part is little more than a signature; without it hardly anything is looked at.
            first = 1 if len(pieces) > 1 and self.size % 16 else 0
            _PART_EDITS[self.kind](self, pieces, first + self.at % (len(pieces) - first))
            return b"".join(pieces)
        return _EDITS[self.kind](self, file, self.at % (len(file) + 1))

    def lent(self) -> bytes:
        """Take a part of another file."""
        pieces = parts(bases()[self.other])
        return pieces[self.size % len(pieces)]


def _flip(edit: Edit, file: bytes, at: int) -> bytes:
    return file[:at] + bytes(byte ^ 1 << edit.size % 8 for byte in file[at : at + 1]) + file[at + 1 :]


def _field(edit: Edit, pieces: list[bytes], at: int) -> None:
    """Overwrite a number near the begin of a part: its length, its name, a size."""
    place = edit.size % 32
    pieces[at] = pieces[at][:place] + edit.data[: len(pieces[at]) - place] + pieces[at][place + len(edit.data) :]


def _swap(edit: Edit, pieces: list[bytes], at: int) -> None:
    other = edit.size % len(pieces)
    pieces[at], pieces[other] = pieces[other], pieces[at]


def _repeat(edit: Edit, pieces: list[bytes], at: int) -> None:
    pieces[at] *= min((2, 3, 60, 250)[edit.size % 4], 2 + _MAX_REPEATED // (len(pieces[at]) + 1))


def _splice(edit: Edit, pieces: list[bytes], at: int) -> None:
    pieces[at:] = parts(bases()[edit.other])[edit.size % 8 :]


_EDITS: dict[str, Callable[[Edit, bytes, int], bytes]] = {
    "flip": _flip,
    "put": lambda edit, file, at: file[:at] + edit.data + file[at + len(edit.data) :],
    "insert": lambda edit, file, at: file[:at] + edit.data + file[at:],
    "cut": lambda edit, file, at: file[:at] + file[at + edit.size :],
    "end": lambda edit, file, at: file[:at],
    "again": lambda edit, file, at: file[: at + edit.size] + file[at:],
    "tail": lambda edit, file, at: file + edit.data,
    "rows": lambda edit, file, at: with_rows(file, edit.data, edit.at),
    "graft": lambda edit, file, at: file[:at] + bases()[edit.other][at:],
}
_PART_EDITS: dict[str, Callable[[Edit, list[bytes], int], None]] = {
    "drop": lambda edit, pieces, at: pieces.__delitem__(at),
    "repeat": _repeat,
    "swap": _swap,
    "field": _field,
    "lend": lambda edit, pieces, at: pieces.insert(at, edit.lent()),
    "exchange": lambda edit, pieces, at: pieces.__setitem__(at, edit.lent()),
    "splice": _splice,
    "last": lambda edit, pieces, at: pieces.append(pieces.pop(at)),
}

_NUMBERS = (
    0,
    1,
    2,
    7,
    8,
    63,
    64,
    127,
    128,
    255,
    256,
    4095,
    4096,
    16_383,
    16_384,
    32_768,
    65_535,
    2**24 - 1,
    2**31,
    2**32 - 1,
)
_WIDTHS = st.sampled_from((1, 2, 4))
_DATA = st.binary(min_size=1, max_size=6) | st.builds(
    lambda number, width, order: (number % 256**width).to_bytes(width, order),
    st.sampled_from(_NUMBERS),
    _WIDTHS,
    st.sampled_from(("big", "little")),
)


@dataclass(frozen=True, slots=True)
class Mutant:
    """How to make a file; `data` makes it."""

    base: str
    edits: tuple[Edit, ...]
    is_mended: bool

    @property
    def data(self) -> bytes:
        """Make the file."""
        file = bases()[self.base]
        for edit in self.edits:
            file = edit.apply(file)
        return mended(file) if self.is_mended else file


def mutants(form: str) -> st.SearchStrategy[Mutant]:
    """Bring mutants of one format, which may have parts of others."""
    return st.deferred(lambda: _mutants(form))  # the files are not made before they are needed


def _mutants(form: str) -> st.SearchStrategy[Mutant]:
    own = st.sampled_from(names(form))
    everywhere = st.integers(8, 200) | st.integers(0, _MAX_BYTES)
    kinds = st.sampled_from((*_EDITS, *_PART_EDITS, "field", "field", "flip"))
    others = own | st.sampled_from(sorted(bases()))
    edits = st.builds(Edit, kinds, everywhere, st.integers(0, 255), _DATA, others)
    is_mended = st.sampled_from((True, True, True, False))
    return st.builds(
        Mutant, own, (st.tuples(edits) | st.tuples(edits, edits) | st.tuples(edits, edits, edits, edits)), is_mended
    )
