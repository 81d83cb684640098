"""Is this really an image, of which type, how large: the only door to Pillow.

Type and size come from the bytes, never from a label. Decoding a large image takes a second of
CPU, so call these from a thread.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

from PIL import Image

FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
# Pillow calls a JPEG with further pictures inside, as phones make them, MPO.
_MIMES = {"PNG": "image/png", "JPEG": "image/jpeg", "MPO": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif"}
EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif"}
MAX_BYTES = 32 * 2**20
MAX_PIXELS = 40_000_000
MAX_SIDE = 16_384
MAX_FRAMES = 200
MAX_ALL_PIXELS = 100_000_000


class NotAnImage(Exception):
    """The bytes are no whole PNG, JPEG, WebP or GIF."""


class TooLarge(NotAnImage):
    """The image has more bytes, pixels or frames than we decode."""


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What the bytes say about an image; sizes in pixels."""

    mime: str
    width: int
    height: int
    frames: int

    @property
    def extension(self) -> str:
        """Name the file ending for this type, without a dot."""
        return EXTENSIONS[self.mime]


def inspect(data: bytes) -> ImageInfo:
    """Decode an image completely and describe it. Raises NotAnImage, TooLarge."""
    if len(data) > MAX_BYTES:
        raise TooLarge(f"more than {MAX_BYTES} bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of what the caps below refuse
            return _inspect(data)
    except NotAnImage:
        raise
    except Image.DecompressionBombError as error:
        raise TooLarge("too many pixels") from error
    # Pillow's plugins raise whatever their parsers meet: SyntaxError, struct.error, ZeroDivisionError, …
    except Exception as error:
        raise NotAnImage(type(error).__name__) from error


def _inspect(data: bytes) -> ImageInfo:
    with Image.open(io.BytesIO(data), formats=FORMATS) as header:
        info = _describe(header)
        header.verify()
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        for frame in range(info.frames):
            image.seek(frame)
            image.load()
    return info


def _describe(image: Image.Image) -> ImageInfo:
    """Read the header and refuse what is too large before a pixel is decoded."""
    width, height = image.size
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise TooLarge(f"{width}x{height} pixels")
    frames = int(getattr(image, "n_frames", 1))
    if frames > MAX_FRAMES or frames * width * height > MAX_ALL_PIXELS:
        raise TooLarge(f"{frames} frames of {width}x{height} pixels")
    return ImageInfo(mime=_MIMES[str(image.format)], width=width, height=height, frames=frames)
