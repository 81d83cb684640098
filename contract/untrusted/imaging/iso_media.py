"""AVIF and HEIC, as browsers and phones keep photos: told by their brands, and opened. They are references only."""

from __future__ import annotations

import io

from PIL import Image

_KINDS = {"AVIF": {b"avif", b"avis"}, "HEIF": {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}}
_MOST_BRANDS = 64


class HeicUnreadable(Exception):
    """The library that reads HEIC is not installed."""


def kind_of(data: bytes) -> str:
    """Tell AVIF and HEIF by the brands that a file claims, as Pillow names them; "" for anything else."""
    if data[4:8] != b"ftyp":
        return ""
    end = min(int.from_bytes(data[:4], "big"), 16 + 4 * _MOST_BRANDS)
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}
    return next((kind for kind, names in _KINDS.items() if brands & names), "")


def opened(data: bytes, kind: str) -> Image.Image:
    """Open a file of this kind, without decoding it. Raises HeicUnreadable, and whatever Pillow raises."""
    if kind == "HEIF":
        try:
            import pillow_heif  # of the extra heic; it loads large libraries, so not for other files
        except ImportError as error:
            raise HeicUnreadable from error
        pillow_heif.register_heif_opener(thumbnails=False)
    return Image.open(io.BytesIO(data), formats=(kind,))
