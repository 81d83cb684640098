"""Is this really an image, of which type, how large: the only door to Pillow.

Type and size come from the bytes, never from a label, and what is too large is refused before a
pixel is decoded. Decoding a large image takes a second of CPU and some 500 MiB, and a decoder may have
holes: these calls belong into a child process with limits.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from PIL import Image, ImageFile, ImageStat

from contract.untrusted import imaging
from contract.untrusted.imaging import Container
from contract.untrusted.imaging.limits import EXTENSIONS, MAX_BYTES, MAX_PIXELS, MAX_SIDE

_FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP", "image/gif": "GIF"}
CONVERTIBLE = frozenset({"image/png", "image/jpeg", "image/webp"})
MAX_FRAMES = 200
MAX_ALL_PIXELS = 100_000_000
BYTES_PER_PIXEL = {"image/webp": 17, "image/jpeg": 7, "image/png": 4, "image/gif": 4}  # while it is decoded
BYTES_PER_MOVING_PIXEL = 17  # of an image with several frames

_SHORTEST_BYTES = 12  # nothing can be told of less
_BLANK_LEVELS = 8  # of 256: what JPEG makes of one colour
_STRIP_PIXELS = 2**20
_QUALITY = 85  # of JPEG and WebP
_MAX_WEBP_SIDE = 16_383
_FAST = {"method": 2, "compress_level": 3}  # of WebP and PNG: 24 Mpx of noise in 2 s, not in 8, and hardly larger
_NOISE = bytes(range(1, 255)) * 4
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class NotAnImage(Exception):
    """The bytes are no whole PNG, JPEG, WebP or GIF."""


class NotAllowed(NotAnImage):
    """The bytes are another kind of file."""


class TooLarge(NotAnImage):
    """The image has more bytes, pixels or frames than we decode."""


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What the bytes say about an image; sizes in pixels, before it is turned."""

    mime: str
    width: int
    height: int
    frames: int
    is_blank: bool = False  # one colour, or nothing to be seen at all
    orientation: int = 1  # as EXIF numbers it, 1 to 8

    @property
    def extension(self) -> str:
        """Name the file ending for this type, without a dot."""
        return EXTENSIONS[self.mime]

    @property
    def upright(self) -> tuple[int, int]:
        """Tell width and height as people see the image."""
        return (self.height, self.width) if self.orientation in (5, 6, 7, 8) else (self.width, self.height)


def inspect(data: bytes) -> ImageInfo:
    """Decode an image completely and describe it. Raises NotAnImage, NotAllowed, TooLarge."""
    with _own_errors():
        return _decoded(data)[0]


def clean(data: bytes, *, weigh: Callable[[int], None] | None = None) -> tuple[ImageInfo, bytes]:
    """Decode an image completely, describe it, and take away what is no part of it; of EXIF the orientation stays.

    The same object comes back when nothing has to go. `weigh` is told before it is decoded how much memory that
    takes. Raises NotAnImage, NotAllowed, TooLarge.
    """
    with _own_errors():
        info, container = _decoded(data, weigh)
        return info, container.write(info.orientation)


def shrink(data: bytes, *, side: int, weigh: Callable[[int], None] | None = None) -> bytes:
    """Re-encode an image's first frame, upright and with no side longer than `side` pixels.

    A JPEG comes back, or a PNG if one can see through. `weigh` is told as by `clean`.
    Raises NotAnImage, NotAllowed, TooLarge.
    """
    if side < 1:
        raise ValueError("a side has one pixel at least")
    with _own_errors():
        mime, container = _take_apart(data)
        if weigh:
            weigh(_weight(data, mime, container))
        picture, profile = _upright(mime, container, data, side)
        return _encode(picture, "image/png" if _is_see_through(picture) else "image/jpeg", profile, quality=_QUALITY)


def convert(data: bytes, *, mime: str, quality: int | None = None) -> bytes:
    """Re-encode an image's first frame upright, as PNG, JPEG or WebP; `quality` is 0 to 100, PNG has none.

    The same object comes back if it is one already and no quality is asked for. What one can see through is white in
    a JPEG. Raises NotAnImage, NotAllowed, TooLarge.
    """
    if mime not in CONVERTIBLE or not 0 <= (quality or 0) <= 100:
        raise ValueError("cannot be encoded so")
    with _own_errors():
        found, container = _take_apart(data)
        if found == mime and (quality is None or mime == "image/png"):
            return data
        if mime == "image/webp" and max(container.width, container.height) > _MAX_WEBP_SIDE:
            raise TooLarge("too long a side for WebP")
        picture, profile = _upright(found, container, data, MAX_SIDE)
        return _encode(picture, mime, profile, quality=_QUALITY if quality is None else quality, **_FAST)


@contextmanager
def _own_errors() -> Iterator[None]:
    ImageFile.LOAD_TRUNCATED_IMAGES = False  # somebody else in this process may have set it
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of what it then does or does not refuse
            yield
    except NotAnImage:
        raise
    except (MemoryError, Image.DecompressionBombError) as error:
        raise TooLarge(type(error).__name__) from error
    # Pillow's plugins raise whatever their parsers meet: SyntaxError, struct.error, ZeroDivisionError, …
    except Exception as error:
        raise NotAnImage(type(error).__name__) from error


def _decoded(data: bytes, weigh: Callable[[int], None] | None = None) -> tuple[ImageInfo, Container]:
    mime, container = _take_apart(data)
    if weigh:
        weigh(_weight(data, mime, container))
    container.check_rows()
    shown = _shown(data, mime, container)
    with _opened(shown, mime) as image:
        image.verify()
    with _opened(shown, mime) as image:
        _match(image, container)
        is_blank = True
        for frame in range(container.frames):
            image.seek(frame)
            image.load()
            is_blank = is_blank and _is_blank(image)
    if mime == "image/jpeg" and _ends_early(shown):
        raise NotAnImage("fewer pixels than promised")
    info = ImageInfo(
        mime=mime,
        width=container.width,
        height=container.height,
        frames=container.frames,
        is_blank=is_blank,
        orientation=container.orientation,
    )
    return info, container


def _weight(data: bytes, mime: str, container: Container) -> int:
    each = BYTES_PER_MOVING_PIXEL if container.frames > 1 else BYTES_PER_PIXEL[mime]
    return len(data) + each * container.width * container.height


def _take_apart(data: bytes) -> tuple[str, Container]:
    """Read type and promises of an image, and refuse what is too large. Raises as `inspect` and ValueError."""
    if len(data) > MAX_BYTES:
        raise TooLarge(f"more than {MAX_BYTES} bytes")
    mime = _type(data)
    container = imaging.read(data, mime)
    width, height, frames = container.width, container.height, container.frames
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise TooLarge(f"{width}x{height} pixels")
    if frames > MAX_FRAMES or frames * width * height > MAX_ALL_PIXELS:
        raise TooLarge(f"{frames} frames of {width}x{height} pixels")
    return mime, container


def _type(data: bytes) -> str:
    """Tell the type by how the bytes begin, even if they go on wrong. Raises NotAnImage, NotAllowed."""
    if len(data.strip()) < _SHORTEST_BYTES:
        raise NotAnImage(f"{len(data)} bytes")
    for mime, begin in (("image/png", b"\x89PNG"), ("image/jpeg", b"\xff\xd8\xff"), ("image/gif", b"GIF8")):
        if data.startswith(begin):
            return mime
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    raise NotAllowed("another kind of file")


def _shown(data: bytes, mime: str, container: Container) -> bytes:
    # Unasked, Pillow reads EXIF and further pictures of a JPEG, and stumbles over empty extensions of a GIF.
    # Of a PNG it shall see the texts: a bomb in there is no picture that somebody made in good faith.
    return data if mime == "image/png" else container.write(1)


def _opened(data: bytes, mime: str) -> ImageFile.ImageFile:
    return Image.open(io.BytesIO(data), formats=(_FORMATS[mime],))


def _match(image: ImageFile.ImageFile, container: Container) -> None:
    """Refuse what Pillow understands in another way than we: it could be larger than we allow."""
    promised = (container.width, container.height, container.frames)
    if (*image.size, getattr(image, "n_frames", 1)) != promised:
        raise NotAnImage("ambiguous")


def _is_blank(image: Image.Image) -> bool:
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


def _ends_early(data: bytes) -> bool:
    """Tell whether a JPEG's end marker comes before its last pixel, where libjpeg makes up the rest and is silent.

    Then, and only then, it takes bytes put before the marker for pixels. An eighth of the size shows that well
    enough; of a progressive JPEG it does not, but there only detail is missing.
    """
    return _eighth(data) != _eighth(data[:-2] + _NOISE + data[-2:])


def _eighth(data: bytes) -> bytes:
    with _opened(data, "image/jpeg") as image:
        if "progressive" in image.info:
            return b""
        image.draft(None, (1, 1))
        return image.tobytes()


def _upright(mime: str, container: Container, data: bytes, side: int) -> tuple[Image.Image, bytes]:
    """Decode the first frame, no side longer than `side`, and its colour profile if that is one of RGB."""
    with _opened(_shown(data, mime, container), mime) as image:
        _match(image, container)
        # Pillow decodes a JPEG in a smaller size at once, if nothing was done to it before.
        picture = image if mime == "image/jpeg" else _plain(image)
        picture.thumbnail((side, side))
        picture = _plain(picture)
        profile = image.info.get("icc_profile") or b""
    if container.orientation in _TURNS:
        picture = picture.transpose(_TURNS[container.orientation])
    return picture, profile if profile[16:20] == b"RGB " else b""


def _plain(image: Image.Image) -> Image.Image:
    return _eight_bits(image).convert("RGBA" if image.has_transparency_data else "RGB")


def _is_see_through(picture: Image.Image) -> bool:
    return picture.mode == "RGBA" and picture.getchannel("A").getextrema() != (255, 255)


def _encode(picture: Image.Image, mime: str, profile: bytes, **options: int) -> bytes:
    if mime == "image/jpeg" and picture.mode == "RGBA":
        white = Image.new("RGB", picture.size, "white")
        white.paste(picture, mask=picture.getchannel("A"))
        picture = white
    picture.info.clear()  # Pillow would write comments
    file = io.BytesIO()
    picture.save(file, _FORMATS[mime], icc_profile=profile, **options)
    return file.getvalue()
