"""PNG: a signature and chunks, each with its length, name and checksum; APNG adds frames of their own."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator

from contract.untrusted.imaging.container import Bytes, Container

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KEPT = frozenset(
    b"IHDR PLTE IDAT IEND acTL fcTL fdAT tRNS gAMA cHRM sRGB iCCP sBIT cICP mDCv mDCV cLLi cLLI"
    b" pHYs bKGD hIST sPLT caBX".split()
)
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of one pixel, for each kind of colour
_WHOLE = ((0, 0, 1, 1),)
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_INPUT_BYTES, _OUTPUT_BYTES = 2**14, 2**20


class Png(Container):
    """A PNG or APNG, taken apart."""

    def _read(self) -> None:
        if not self._data.startswith(_SIGNATURE):
            raise ValueError("no signature")
        self._has_palette = False
        self._waiting = 0  # frames that acTL told of and no fcTL has begun yet
        self._streams: list[tuple[int, int, list[Bytes]]] = []  # width, height, deflated rows
        for name, body, whole in self._chunks():
            self._has_palette |= name == b"PLTE"
            self._look(name, body)
            if name in _KEPT:
                self._kept.append(whole)
            elif name[:1].isupper():
                raise ValueError("unknown critical chunk")
        self.frames = len(self._streams)
        if self._waiting:
            raise ValueError("not the promised frames")

    def _chunks(self) -> Iterator[tuple[bytes, memoryview, memoryview]]:
        """Yield name, data and the whole of each chunk up to the last."""
        at, name = len(_SIGNATURE), b""
        while name != b"IEND":
            self._count()
            length, name = struct.unpack_from(">I4s", self._data, at)
            end = at + 12 + length
            (checksum,) = struct.unpack_from(">I", self._data, end - 4)
            if not name.isalpha() or zlib.crc32(self._view[at + 4 : end - 4]) != checksum:
                raise ValueError("broken chunk")
            if (name == b"IHDR") != (at == len(_SIGNATURE)):
                raise ValueError("the header is not the first chunk")
            yield name, self._view[at + 8 : end - 4], self._view[at:end]
            at = end

    def _look(self, name: bytes, body: memoryview) -> None:
        if name == b"IHDR":
            self.width, self.height, self._depth, self._colour, self._interlaced = struct.unpack(">IIBBxxB", body)
        elif name == b"acTL":
            self._waiting += struct.unpack_from(">I", body)[0]
        elif name == b"fcTL":
            self._waiting -= 1
            self._begin(*struct.unpack_from(">4xII", body))
        elif name == b"IDAT":
            if not self._streams:  # the picture for those who know no animation, and no frame of it
                self._begin(self.width, self.height)
            self._streams[0][2].append(body)
        elif name == b"fdAT":
            self._streams[-1][2].append(body[4:])
        elif name == b"eXIf":
            self._turn(body)

    def _begin(self, width: int, height: int) -> None:
        if self._colour == 3 and not self._has_palette:
            raise ValueError("no palette for its colours")
        if width > self.width or height > self.height:
            raise ValueError("frame is larger than the picture")
        self._streams.append((width, height, []))

    def check_rows(self) -> None:
        """Inflate all rows, keeping none. Raises ValueError, as Pillow does not, for a wrong number of them."""
        bits = self._depth * _SAMPLES.get(self._colour, 0)
        for width, height, pieces in self._streams:
            size = 0
            for left, top, across, down in _ADAM7 if self._interlaced else _WHOLE:
                columns, rows = -((left - width) // across), -((top - height) // down)
                if columns > 0:
                    size += max(0, rows) * (1 + (columns * bits + 7) // 8)
            if _inflated(pieces, most=size) != size:
                raise ValueError("not the promised rows")

    def _written(self, exif: bytes) -> list[Bytes]:
        header, *others = self._kept
        return [_SIGNATURE, header, *([_chunk(b"eXIf", exif)] if exif else []), *others]


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _inflated(pieces: Iterable[Bytes], *, most: int) -> int:
    """Count what deflated pieces hold, -1 if that is more than `most` bytes or cut. Raises ValueError."""
    stream, size = zlib.decompressobj(), 0
    try:
        for piece in pieces:
            # What is left over is copied each time, so it had better be small.
            for at in range(0, len(piece), _INPUT_BYTES):
                rest = bytes(piece[at : at + _INPUT_BYTES])
                while rest and size <= most and not stream.eof:
                    size += len(stream.decompress(rest, _OUTPUT_BYTES))
                    rest = stream.unconsumed_tail
    except zlib.error as error:
        raise ValueError("broken rows") from error
    return size if stream.eof else -1
