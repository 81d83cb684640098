"""Which reader takes which type of file apart."""

from __future__ import annotations

import struct

from contract.untrusted.imaging.container import Container
from contract.untrusted.imaging.gif import Gif
from contract.untrusted.imaging.jpeg import Jpeg
from contract.untrusted.imaging.png import Png
from contract.untrusted.imaging.webp import WebP

_CONTAINERS: dict[str, type[Container]] = {
    "image/gif": Gif,
    "image/jpeg": Jpeg,
    "image/png": Png,
    "image/webp": WebP,
}


def read(data: bytes, mime: str) -> Container:
    """Take an image file apart. Raises ValueError for a malformed file."""
    try:
        return _CONTAINERS[mime](data)
    except (struct.error, LookupError) as error:
        raise ValueError(f"malformed {mime}") from error


def strip(data: bytes, mime: str, *, orientation: int = 1) -> bytes:
    """Strip what is not part of the image; of EXIF only the orientation (1 to 8) stays.

    The same object comes back when nothing has to go. Raises ValueError for a malformed file.
    """
    return read(data, mime).write(orientation)
