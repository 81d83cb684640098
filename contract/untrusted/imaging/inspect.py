"""Is this really an image, of which type, how large: the only door to Pillow.

Type and size come from the bytes, never from a label, and what is too large is refused before a
pixel is decoded. Decoding a large image takes a second of CPU and some 500 MiB, and a decoder may have
holes: these calls belong into a child process with limits.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from PIL import Image, ImageFile

from contract.untrusted import imaging
from contract.untrusted.imaging import Container, iso_media
from contract.untrusted.imaging.iso_media import HeicUnreadable
from contract.untrusted.imaging.limits import (
    EXTENSIONS,
    MAX_BYTES,
    MAX_ISO_MEDIA_PIXELS,
    MAX_PIXELS,
    MAX_REFERENCE_PIXELS,
    MAX_SIDE,
)
from contract.untrusted.imaging.pixels import encode, ends_early, is_blank, is_see_through, opened, plain, turned

CONVERTIBLE = frozenset({"image/png", "image/jpeg", "image/webp"})
MAX_FRAMES = 200
MAX_ALL_PIXELS = 100_000_000  # of an animation
BYTES_PER_PIXEL = {"image/webp": 17, "image/jpeg": 7, "image/png": 4, "image/gif": 4}  # while it is decoded
BYTES_PER_MOVING_PIXEL = 17  # of an image with several frames
REFERENCE_SIDE = 4096  # of a reference that is made smaller: no provider makes larger images

_SHORTEST_BYTES = 12  # nothing can be told of less
_QUALITY = 85  # of JPEG and WebP
_REFERENCE_QUALITY = 92  # of a JPEG that is made of a reference: it is about as large as a phone makes it
_MAX_WEBP_SIDE = 16_383
_FAST = {"method": 2, "compress_level": 3}  # of WebP and PNG: 24 Mpx of noise in 2 s, not in 8, and hardly larger


class NotAnImage(Exception):
    """The bytes are no whole PNG, JPEG, WebP or GIF."""


class NotAllowed(NotAnImage):
    """The bytes are another kind of file."""


class TooLarge(NotAnImage):
    """The image has more bytes, pixels or frames than we decode; `limit` says in words how many, if that is known."""

    def __init__(self, limit: str = "") -> None:
        super().__init__(limit)
        self.limit = limit


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
        picture, profile = _upright(mime, container, side)
        return encode(picture, "image/png" if is_see_through(picture) else "image/jpeg", profile, quality=_QUALITY)


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
            raise TooLarge(f"{_MAX_WEBP_SIDE} pixels a side")
        picture, profile = _upright(found, container, MAX_SIDE)
        return encode(picture, mime, profile, quality=_QUALITY if quality is None else quality, **_FAST)


def adopt(data: bytes) -> tuple[ImageInfo, bytes]:
    """Decode an image completely and make a reference of it that looks the same to every provider.

    It is cleaned as by `clean`. What lies on its side is turned, what has more pixels than may be sent is made smaller,
    and AVIF and HEIC become JPEG, or PNG where one can see through; of an animation that needs any of it the first
    frame is taken. Raises NotAnImage, NotAllowed, TooLarge, HeicUnreadable.
    """
    with _own_errors():
        if kind := iso_media.kind_of(data):
            return _adopted(*_from_iso_media(data, kind), is_lossless=False)
        mime, container = _take_apart(data, is_shrunk=True)
        is_large = container.width * container.height > MAX_PIXELS
        if is_large:
            _check_ends(mime, container)
        else:
            info, container = _decoded(data)
            if info.orientation == 1:
                return info, container.write(1)
        picture, profile = _upright(mime, container, REFERENCE_SIDE if is_large else MAX_SIDE)
        return _adopted(picture, profile, is_lossless=mime == "image/png" and not is_large)


def _adopted(picture: Image.Image, profile: bytes, *, is_lossless: bool) -> tuple[ImageInfo, bytes]:
    mime = "image/png" if is_lossless or is_see_through(picture) else "image/jpeg"
    made = encode(picture, mime, profile, quality=_REFERENCE_QUALITY, compress_level=_FAST["compress_level"])
    return ImageInfo(mime=mime, width=picture.width, height=picture.height, frames=1), made


@contextmanager
def _own_errors() -> Iterator[None]:
    ImageFile.LOAD_TRUNCATED_IMAGES = False  # somebody else in this process may have set it
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of what it then does or does not refuse
            yield
    except (NotAnImage, HeicUnreadable):
        raise
    except (MemoryError, Image.DecompressionBombError) as error:
        raise TooLarge from error
    # Pillow's plugins raise whatever their parsers meet: SyntaxError, struct.error, ZeroDivisionError, …
    except Exception as error:
        raise NotAnImage(type(error).__name__) from error


def _decoded(data: bytes, weigh: Callable[[int], None] | None = None) -> tuple[ImageInfo, Container]:
    mime, container = _take_apart(data)
    if weigh:
        weigh(_weight(data, mime, container))
    container.check_rows()
    shown = container.shown()
    with opened(shown, mime) as image:
        image.verify()
    with opened(shown, mime) as image:
        _match(image, container)
        is_one_colour = True
        for frame in range(container.frames):
            image.seek(frame)
            image.load()
            is_one_colour = is_one_colour and is_blank(image)
    if mime == "image/jpeg" and ends_early(shown, is_mended=container.is_mended):
        raise NotAnImage("fewer pixels than promised")
    info = ImageInfo(
        mime=mime,
        width=container.width,
        height=container.height,
        frames=container.frames,
        is_blank=is_one_colour,
        orientation=container.orientation,
    )
    return info, container


def _weight(data: bytes, mime: str, container: Container) -> int:
    each = BYTES_PER_MOVING_PIXEL if container.frames > 1 else BYTES_PER_PIXEL[mime]
    return len(data) + each * container.width * container.height


def _check_ends(mime: str, container: Container) -> None:
    """Refuse what ends before its last pixel where its decoder is silent about that."""
    container.check_rows()
    if mime == "image/jpeg" and ends_early(container.shown(), is_mended=container.is_mended):
        raise NotAnImage("fewer pixels than promised")


def _take_apart(data: bytes, *, is_shrunk: bool = False) -> tuple[str, Container]:
    """Read type and promises of an image, and refuse what is too large. Raises as `inspect` and ValueError."""
    if len(data) > MAX_BYTES:
        raise TooLarge(f"{MAX_BYTES // 2**20} MiB")
    mime = _type(data)
    container = imaging.read(data, mime)
    most = MAX_REFERENCE_PIXELS.get(mime, MAX_PIXELS) if is_shrunk else MAX_PIXELS
    _check_size(container.width, container.height, most=most)
    if container.frames > MAX_FRAMES:
        raise TooLarge(f"{MAX_FRAMES} frames")
    if container.frames > 1 and container.frames * container.width * container.height > MAX_ALL_PIXELS:
        raise TooLarge(f"{MAX_ALL_PIXELS // 10**6} megapixels in all of its frames")
    return mime, container


def _check_size(width: int, height: int, *, most: int) -> None:
    if max(width, height) > MAX_SIDE:
        raise TooLarge(f"{MAX_SIDE} pixels a side")
    if width * height > most:
        raise TooLarge(f"{most // 10**6} megapixels")


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


def _match(image: ImageFile.ImageFile, container: Container) -> None:
    """Refuse what Pillow understands in another way than we: it could be larger than we allow."""
    promised = (container.width, container.height, container.frames)
    if (*image.size, getattr(image, "n_frames", 1)) != promised:
        raise NotAnImage("ambiguous")


def _upright(mime: str, container: Container, side: int) -> tuple[Image.Image, bytes]:
    """Decode the first frame, no side longer than `side`, and its colour profile if that is one of RGB."""
    if container.is_mended:
        _check_ends(mime, container)
    with opened(container.shown(), mime) as image:
        _match(image, container)
        # Pillow decodes a JPEG in a smaller size at once, if nothing was done to it before.
        picture = image if mime == "image/jpeg" else plain(image)
        picture.thumbnail((side, side))
        picture.load()
        return turned(plain(picture), container.orientation), _profile(image)


def _from_iso_media(data: bytes, kind: str) -> tuple[Image.Image, bytes]:
    """Decode the first frame of an AVIF or HEIC, upright, and its colour profile if that is one of RGB."""
    if len(data) > MAX_BYTES:
        raise TooLarge(f"{MAX_BYTES // 2**20} MiB")
    with iso_media.opened(data, kind) as image:
        _check_size(*image.size, most=MAX_ISO_MEDIA_PIXELS)
        orientation = image.getexif().get(0x0112, 1)
        image.load()
        picture = plain(image)
        if picture.width * picture.height > MAX_PIXELS:
            picture.thumbnail((REFERENCE_SIDE, REFERENCE_SIDE))
        return turned(picture, orientation), _profile(image)


def _profile(image: Image.Image) -> bytes:
    profile = image.info.get("icc_profile") or b""
    return profile if profile[16:20] == b"RGB " else b""
