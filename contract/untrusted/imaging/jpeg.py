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

_SOI, _END, _EXIF = b"\xff\xd8", b"\xff\xd9", b"Exif\0\0"
_EOI, _SOS, _PROGRESSIVE = 0xD9, 0xDA, 0xC2
_SOF = (0xC0, 0xC1, 0xC2)  # no browser shows the other kinds of frame
_KEPT = frozenset((*_SOF, _SOS, _EOI, 0xC4, 0xDB, 0xDD))
_DROPPED = frozenset((0x01, *range(0xD0, 0xD8), 0xDC, *range(0xE0, 0xF0), 0xFE))
_ALONE = frozenset((_EOI, 0x01, *range(0xD0, 0xD8)))  # without a length
_SEEN = 2**64  # behind the bits of 64 coefficients: that any scan was there
_MARKER = re.compile(rb"\xff[^\x00\xff]")
_SCAN_END = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


class Jpeg(Container):
    """A JPEG up to the end of its first image, parsed into parts."""

    def _read(self) -> None:
        if not self._data.startswith(_SOI):
            raise ValueError("no signature")
        self._exact: dict[int, int] = {}  # of each colour a bit for each coefficient that a scan has finished
        self._all = scans = 0
        for marker, body, whole in self._segments():
            if marker in _SOF:
                self._begin(marker, body)
            elif marker == _SOS:
                scans += 1
                self._scan(body)
            self._keep(marker, body, whole)
        if self.frames != 1 or scans > max(MAX_SCANS, MAX_SCANNED_PIXELS // (self.width * self.height or 1)):
            raise ValueError("not one picture, or in far too many scans")
        if not all(self._exact.values()) or (self.is_mended and min(self._exact.values()) < self._all):
            raise ValueError("a colour is missing, or not finished")

    def _begin(self, marker: int, body: memoryview) -> None:
        self.frames += 1
        self.height, self.width, colours = struct.unpack_from(">xHHB", body)
        self._exact = dict.fromkeys(body[6 : 6 + 3 * colours : 3], 0)
        self._all = _SEEN | (2**64 - 1 if marker == _PROGRESSIVE else 0)

    def _scan(self, body: memoryview) -> None:
        """Note what a scan brings."""
        colours = body[1 : 1 + 2 * body[0] : 2]
        first, last, precision = body[1 + 2 * body[0] : 4 + 2 * body[0]]
        brought = (2 << min(last, 63)) - (1 << first) if first <= min(last, 63) else 0
        for colour in self._exact.keys() & set(colours):
            exact = self._exact[colour] | _SEEN
            self._exact[colour] = exact & ~brought if precision & 0x0F else exact | brought

    def _segments(self) -> Iterator[tuple[int, memoryview, memoryview]]:
        """Yield marker, payload and the whole of each segment; fill and junk in between are skipped.

        Behind a scan the end marker may be missing.
        """
        at, marker, has_scans = len(_SOI), 0, False
        while marker != _EOI:
            self._count()
            found = self._segment(at)
            if found is None:
                break
            marker, start, begin, end = found
            has_scans |= marker == _SOS
            body = self._view[begin + 2 : end]
            if marker == _SOS:
                scan_end = _SCAN_END.search(self._data, end)
                end = scan_end.start() if scan_end else max(end, self._pixels_end())
            yield marker, body, self._view[start:end]
            at = end
        else:
            return
        if not has_scans:
            raise ValueError("segment is cut, or no end marker")
        self.is_mended = True
        yield _EOI, memoryview(b""), memoryview(_END)

    def _segment(self, at: int) -> tuple[int, int, int, int] | None:
        """Find the next segment: marker, where it starts, where its length stands, where it ends; None for none."""
        found = _MARKER.search(self._data, at)
        if found is None:
            return None
        start, begin = found.span()
        marker, end = self._data[begin - 1], begin
        if marker not in _ALONE:
            length = int.from_bytes(self._data[begin : begin + 2], "big")
            end += length
            if length < 2 or end > len(self._data) or marker == _SOI[1]:
                return None
        return marker, start, begin, end

    def _pixels_end(self) -> int:
        """Tell where the pixels end that no marker follows: before a run of zeros, and before half of an end marker."""
        end = len(self._data.rstrip(b"\0"))
        if len(self._data) - end == 1 or self._data[end - 1 : end + 1] == b"\xff\0":
            return end + 1  # it may belong to them
        return len(self._data[:end].rstrip(b"\xff"))

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
