"""JPEG: segments, each with a marker and mostly a length; behind a start of scan come pixels up to the next marker.

What follows the end of the first picture, such as the second picture of a phone's MPO, is no part of it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from contract.untrusted.imaging.container import Bytes, Container

MAX_SCANS = 50  # of a large image; progressive ones have ten, and each takes a decoder as long as the first
MAX_SCANNED_PIXELS = 2_000_000_000  # so a small picture may have more scans

_SOI, _EOI, _SOS, _EXIF = b"\xff\xd8", 0xD9, 0xDA, b"Exif\0\0"
_SOF = (0xC0, 0xC1, 0xC2)  # no browser shows the other kinds of frame
_KEPT = frozenset((*_SOF, _SOS, _EOI, 0xC4, 0xDB, 0xDD))
_DROPPED = frozenset((0x01, *range(0xD0, 0xD8), 0xDC, *range(0xE0, 0xF0), 0xFE))
_ALONE = frozenset((_EOI, 0x01, *range(0xD0, 0xD8)))  # without a length
_MARKER = re.compile(rb"\xff[^\x00\xff]")
_SCAN_END = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


class Jpeg(Container):
    """A JPEG up to the end of its first image, parsed into parts."""

    def _read(self) -> None:
        if not self._data.startswith(_SOI):
            raise ValueError("no signature")
        scans = 0
        missing: set[int] = set()  # the colours that no scan has brought yet
        for marker, body, whole in self._segments():
            if marker in _SOF:
                self.frames += 1
                self.height, self.width, colours = struct.unpack_from(">xHHB", body)
                missing = set(body[6 : 6 + 3 * colours : 3])
            elif marker == _SOS:
                scans += 1
                missing -= set(body[1 : 1 + 2 * body[0] : 2])
            self._keep(marker, body, whole)
        if self.frames != 1 or missing or scans > max(MAX_SCANS, MAX_SCANNED_PIXELS // (self.width * self.height or 1)):
            raise ValueError("not one picture, or in far too many scans")

    def _segments(self) -> Iterator[tuple[int, memoryview, memoryview]]:
        """Yield marker, payload and the whole of each segment; fill and junk in between are skipped."""
        at, marker = len(_SOI), 0
        while marker != _EOI:
            self._count()
            start, begin = self._find(_MARKER, at)
            marker, end = self._data[begin - 1], begin
            if marker not in _ALONE:
                (length,) = struct.unpack_from(">H", self._data, begin)
                end += length
                if length < 2 or end > len(self._data):
                    raise ValueError("segment is cut")
            body = self._view[begin + 2 : end]
            if marker == _SOS:
                end, _ = self._find(_SCAN_END, end)
            yield marker, body, self._view[start:end]
            at = end

    def _find(self, pattern: re.Pattern[bytes], at: int) -> tuple[int, int]:
        found = pattern.search(self._data, at)
        if found is None:
            raise ValueError("no end marker")
        return found.span()

    def _keep(self, marker: int, body: memoryview, whole: memoryview) -> None:
        if marker in _KEPT or _is_profile(marker, body) or _is_provenance(marker, body):
            self._kept.append(whole)
        elif marker == 0xE0 and body[:5].tobytes() == b"JFIF\0" and len(body) >= 14:
            self._kept.append(_segment(0xE0, bytes(body[:12]) + b"\0\0"))  # its thumbnail goes
        elif marker == 0xEE and body[:5].tobytes() == b"Adobe" and len(body) >= 12:
            self._kept.append(_segment(0xEE, bytes(body[:12])))
        elif marker == 0xE1 and body[:6].tobytes() == _EXIF:
            self._turn(body)
        elif marker not in _DROPPED:
            raise ValueError("unknown marker")

    def _written(self, exif: bytes) -> list[Bytes]:
        first = 1 if self._kept[0][:2] == b"\xff\xe0" else 0  # JFIF has to be the first
        turned = [_segment(0xE1, _EXIF + exif)] if exif else []
        return [_SOI, *self._kept[:first], *turned, *self._kept[first:]]


def _is_profile(marker: int, body: memoryview) -> bool:
    return marker == 0xE2 and body[:12].tobytes() == b"ICC_PROFILE\0"


def _is_provenance(marker: int, body: memoryview) -> bool:
    return marker == 0xEB and body[:2].tobytes() == b"JP"  # JUMBF, which holds C2PA


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(body)) + body
