"""Pixels of a picture that Pillow has opened: looked at, turned upright, and encoded once more."""

from __future__ import annotations

import io
import zlib

from PIL import Image, ImageFile, ImageStat

FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP", "image/gif": "GIF"}

_BLANK_LEVELS = 8  # of 256: what JPEG makes of one colour
_STRIP_PIXELS = 2**20
_NOISE = bytes(range(254, 0, -1)) * 4
_RESTARTS = b"".join(bytes([0xFF, 0xD0 + number]) + _NOISE for number in range(8))  # where a decoder waits for one
_NOISES = (_NOISE + _RESTARTS, b"\xa5" + _NOISE[90:] + _RESTARTS)  # some first bits may mean as little as none
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def opened(data: bytes, mime: str) -> ImageFile.ImageFile:
    """Open a picture of a type, without decoding it."""
    return Image.open(io.BytesIO(data), formats=(FORMATS[mime],))


def is_blank(image: Image.Image) -> bool:
    """Tell whether a loaded image shows one colour only; strip by strip, as a copy of all of it would be large."""
    rows = max(1, _STRIP_PIXELS // image.width)
    seen: list[tuple[int, int]] = []
    for top in range(0, image.height, rows):
        strip = _weighed(image.crop((0, top, image.width, min(top + rows, image.height))))
        spans = ImageStat.Stat(strip).extrema
        seen = [(min(a, c), max(b, d)) for (a, b), (c, d) in zip(seen or spans, spans, strict=True)]
        if any(high - low > _BLANK_LEVELS for low, high in seen):
            return False
    return True


def _weighed(image: Image.Image) -> Image.Image:
    """Multiply colours with their opacity, so that what cannot be seen has no colour."""
    image = _eight_bits(image)
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA")
    return image.convert({"RGBA": "RGBa", "LA": "La"}.get(image.mode, image.mode))


def _eight_bits(image: Image.Image) -> Image.Image:
    """Make fewer greys of 65,536, where Pillow would make all but 256 of them white."""
    if image.mode.startswith("I"):
        return image.convert("I").point(lambda level: level * (1 / 256)).convert("L")
    return image


def ends_early(data: bytes, *, is_mended: bool = False) -> bool:
    """Tell whether a JPEG's end marker comes before its last pixel, where libjpeg makes up the rest and is silent.

    Then, and only then, it takes bytes put before the marker for pixels. An eighth of the size shows that well
    enough; of a progressive JPEG it does not, but there only detail is missing. Where we have put the end marker,
    every pixel is compared, with two kinds of bytes.
    """
    if not is_mended:
        return _eighth(data) != _eighth(data[:-2] + _NOISES[0] + data[-2:])
    expected = _checksum(data)
    return any(_checksum(data[:-2] + noise + data[-2:]) != expected for noise in _NOISES)


def _checksum(data: bytes) -> int:
    """Sum up all pixels of a JPEG."""
    total = 0
    with opened(data, "image/jpeg") as image:
        rows = max(1, _STRIP_PIXELS // image.width)
        for top in range(0, image.height, rows):
            total = zlib.crc32(image.crop((0, top, image.width, min(top + rows, image.height))).tobytes(), total)
    return total


def _eighth(data: bytes) -> bytes:
    with opened(data, "image/jpeg") as image:
        if "progressive" in image.info:
            return b""
        image.draft(None, (1, 1))
        return image.tobytes()


def turned(picture: Image.Image, orientation: int) -> Image.Image:
    """Turn a picture upright that lies as EXIF numbers it."""
    return picture.transpose(_TURNS[orientation]) if orientation in _TURNS else picture


def plain(image: Image.Image) -> Image.Image:
    """Make a picture RGB, or RGBA where one can see through it."""
    mode = "RGBA" if image.has_transparency_data else "RGB"
    return image if image.mode == mode else _eight_bits(image).convert(mode)  # no second copy of a large one


def is_see_through(picture: Image.Image) -> bool:
    """Tell whether any pixel lets one see through it."""
    return picture.mode == "RGBA" and picture.getchannel("A").getextrema() != (255, 255)


def encode(picture: Image.Image, mime: str, profile: bytes, **options: int) -> bytes:
    """Encode a picture with a colour profile and nothing else; what one can see through is white in a JPEG."""
    if mime == "image/jpeg" and picture.mode == "RGBA":
        white = Image.new("RGB", picture.size, "white")
        white.paste(picture, mask=picture.getchannel("A"))
        picture = white
    picture.info.clear()  # Pillow would write comments
    file = io.BytesIO()
    picture.save(file, FORMATS[mime], icc_profile=profile, **options)
    return file.getvalue()
