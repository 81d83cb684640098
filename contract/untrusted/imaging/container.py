"""What the four kinds of file have in common, and the one tag of EXIF that matters."""

from __future__ import annotations

import struct

PADDING = b"\0\t\n\r "  # what may stand in the place of an end
MAX_PARTS = 250_000  # 32 MiB of honest GIF have half as many; Pillow takes some 3 µs for each

Bytes = bytes | memoryview


class Container:
    """A file taken apart: what it promises, sizes in pixels, and those of its parts that may stay.

    An end that is missing or wrong is made good. `is_mended` says so where only the decoder can tell whether all
    pixels are there.
    """

    def __init__(self, data: bytes) -> None:
        self.width = self.height = self.frames = 0
        self.orientation = 0  # as EXIF numbers it; 0 until EXIF was met
        self.is_mended = False
        self._data, self._view = data, memoryview(data)
        self._kept: list[Bytes] = []
        self._parts = 0
        self._read()
        self.orientation = self.orientation or 1
        if not (self.width and self.height and self.frames):
            raise ValueError("no pixels")

    def write(self, orientation: int) -> bytes:
        """Join the parts that may stay; the same object if those are all.

        Raises ValueError when there is no place for the orientation (1 to 8).
        """
        if not 1 <= orientation <= 8:
            raise ValueError("no orientation")
        clean = b"".join(self._written(b"" if orientation == 1 else _tiff(orientation)))
        return self._data if clean == self._data else clean

    def shown(self) -> bytes:
        """Join what a decoder gets to see: unasked, Pillow reads EXIF and further pictures of a JPEG."""
        return self.write(1)

    def check_rows(self) -> None:
        """Raise ValueError if the pixels are fewer or more than promised, where no decoder says so.

        Rows whose end is missing or wrong are packed anew.
        """

    def _read(self) -> None:
        """Set the promises, and keep what may stay. Raises ValueError, LookupError, struct.error."""
        raise NotImplementedError

    def _written(self, exif: bytes) -> list[Bytes]:
        """Arrange the parts that may stay, and EXIF unless it is empty."""
        raise NotImplementedError

    def _turn(self, exif: Bytes) -> None:
        """Take the orientation from the first EXIF data only, however many there are."""
        self.orientation = self.orientation or _orientation(bytes(exif))

    def _count(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise ValueError("too many parts")


def _orientation(exif: bytes) -> int:
    """Look for the orientation (1 to 8) in EXIF data; 1 when there is none, or nonsense."""
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for number in range(count):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, start + 2 + 12 * number)
            if tag == 0x0112:
                return value if kind == 3 and 1 <= value <= 8 else 1
    except struct.error:  # cut off
        pass
    return 1


def _tiff(orientation: int) -> bytes:
    return b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
