"""WebP: a RIFF file of chunks; VP8X tells the size and what to expect, ANMF holds the chunks of one frame."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from contract.untrusted.imaging.container import Bytes, Container

_PICTURES = frozenset((b"VP8 ", b"VP8L"))
_STILL = _PICTURES | {b"ALPH"}
_DECODED = _PICTURES | {b"ANMF"}
_KEPT = _STILL | {b"ANIM", b"ANMF", b"ICCP", b"C2PA"}
_EXIF, _XMP = 0x08, 0x04  # flags of VP8X


class WebP(Container):
    """A WebP, taken apart."""

    _flags: int | None = None  # of VP8X, which a simple file has not

    def _read(self) -> None:
        riff, length, kind = struct.unpack_from("<4sI4s", self._data)
        if riff != b"RIFF" or kind != b"WEBP":
            raise ValueError("no signature")
        for name, begin, end in self._chunks(12, 8 + length, len(self._data)):
            if name == b"VP8X":
                self._extend(self._view[begin:end])
            elif name == b"EXIF" and self._flags is not None:  # decoders ignore it in a simple file
                self._turn(self._view[begin:end])
            elif name in _KEPT:
                self._keep(name, begin, end)

    def _extend(self, body: memoryview) -> None:
        if self._kept or self._flags is not None:
            raise ValueError("the header is not the first chunk")
        self._flags, *size = struct.unpack("<B3xHBHB", body)
        self.width, self.height = 1 + size[0] + (size[1] << 16), 1 + size[2] + (size[3] << 16)

    def _keep(self, name: bytes, begin: int, end: int) -> None:
        self.frames += name in _PICTURES or name == b"ANMF"
        self._kept += _chunk(name, self._frame(begin, end) if name == b"ANMF" else self._view[begin:end])
        if self._flags is None and name in _PICTURES:
            self.width, self.height = _size(name, self._view[begin:end])

    def _chunks(self, at: int, promised: int, there: int) -> Iterator[tuple[bytes, int, int]]:
        """Yield each chunk's name, and begin and end of its data.

        Where the promised end cannot be, in a chunk or before any picture, the end is where the bytes are. What they
        cut there is no part of the picture.
        """
        while at + 8 <= (min(promised, there) if self.frames else there):
            self._count()
            name, length = struct.unpack_from("<4sI", self._data, at)
            begin, end = at + 8, at + 8 + length
            if end > there:
                if name in _DECODED:
                    raise ValueError("picture is cut")
                return
            if end > promised:
                promised = there
            yield name, begin, end
            at = end + length % 2
        if b"ANMF".startswith(self._data[at : min(at + 4, there)] or b"?"):
            raise ValueError("the next frame is cut")

    def _frame(self, begin: int, end: int) -> bytes:
        """Clean the data of an ANMF chunk: place and time of the frame, then chunks."""
        pieces: list[Bytes] = [self._view[begin : begin + 16]]
        for name, at, to in self._chunks(begin + 16, end, end):
            if name in _STILL:
                pieces += _chunk(name, self._view[at:to])
        return b"".join(pieces)

    def _written(self, exif: bytes) -> list[Bytes]:
        chunks = [*self._kept, *(_chunk(b"EXIF", exif) if exif else [])]
        if self._flags is not None:
            flags = self._flags & ~(_EXIF | _XMP) | (_EXIF if exif else 0)
            size = (self.width - 1).to_bytes(3, "little") + (self.height - 1).to_bytes(3, "little")
            chunks = [*_chunk(b"VP8X", bytes([flags, 0, 0, 0]) + size), *chunks]
        elif exif:
            raise ValueError("a simple WebP has no place for EXIF")
        return [b"RIFF", struct.pack("<I", 4 + sum(map(len, chunks))), b"WEBP", *chunks]


def _chunk(name: bytes, data: Bytes) -> list[Bytes]:
    return [name, struct.pack("<I", len(data)), data, bytes(len(data) % 2)]


def _size(name: bytes, body: memoryview) -> tuple[int, int]:
    """Read width and height where there is nothing but a picture."""
    if name == b"VP8 " and body[3:6].tobytes() == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", body, 6)
        return width & 0x3FFF, height & 0x3FFF
    if name == b"VP8L" and body[0] == 0x2F:
        (bits,) = struct.unpack_from("<I", body, 1)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    raise ValueError("not a picture")
