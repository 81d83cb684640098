"""PNG: a signature and chunks, each with its length, name and checksum; APNG adds frames of their own."""

from __future__ import annotations

import struct
import zlib

from contract.untrusted.imaging.container import Bytes, Container
from contract.untrusted.imaging.png_rows import is_whole, packed_anew

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KEPT = frozenset(
    b"IHDR PLTE IDAT acTL fcTL fdAT tRNS gAMA cHRM sRGB iCCP sBIT cICP mDCv mDCV cLLi cLLI"
    b" pHYs bKGD hIST sPLT caBX".split()
)
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of one pixel, for each kind of colour
_WHOLE = ((0, 0, 1, 1),)
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PIXELS = frozenset((b"IDAT", b"fdAT"))
_END = b"\0\0\0\0IEND\xaeB`\x82"
_MAX_LENGTH = 2**31 - 1  # of a chunk


class Png(Container):
    """A PNG or APNG, taken apart."""

    def _read(self) -> None:
        if not self._data.startswith(_SIGNATURE):
            raise ValueError("no signature")
        self._has_palette = False
        self._waiting = 0  # frames that acTL told of and no fcTL has begun yet
        self._streams: list[tuple[int, int, list[Bytes]]] = []  # width, height, deflated rows
        self._seen: list[Bytes] = []  # what may stay, and what may not
        at = len(_SIGNATURE)
        while found := self._chunk(at):
            self._count()
            name, body, whole, at = found
            self._has_palette |= name == b"PLTE"
            self._look(name, body)
            self._seen.append(whole)
            if name in _KEPT:
                self._kept.append(whole)
            elif name[:1].isupper():
                raise ValueError("unknown critical chunk")
        self._kept.append(_END)
        self._seen.append(_END)
        self.is_mended |= self._data[at : at + len(_END)] != _END
        self.frames = len(self._streams)
        if self._waiting:
            raise ValueError("not the promised frames")

    def _chunk(self, at: int) -> tuple[bytes, memoryview, Bytes, int] | None:
        """Read the next chunk: name, data, all of it, and where it ends; None at the end of the file.

        Behind pixels, what cannot be read is the end, too.
        """
        head = self._data[at : at + 8]
        length, name = struct.unpack(">I4s", head) if len(head) == 8 else (0, b"")
        if (name == b"IHDR") != (at == len(_SIGNATURE)):
            raise ValueError("the header is not the first chunk")
        if name.isalpha() and name != b"IEND" and length <= _MAX_LENGTH:
            return self._framed(name, at, at + 12 + length)
        if not self._streams:
            raise ValueError("broken chunk")
        return None

    def _framed(self, name: bytes, at: int, end: int) -> tuple[bytes, memoryview, Bytes, int]:
        """Check the frame of a chunk. Pixels that are cut are for `check_rows` to judge; what else is broken goes."""
        body = self._view[at + 8 : end - 4]
        is_there = end <= len(self._data)
        if is_there and zlib.crc32(self._view[at + 4 : end - 4]) == int.from_bytes(self._view[end - 4 : end], "big"):
            return name, body, self._view[at:end], end
        self.is_mended = True
        if not is_there:
            return (name, body, _frame(name, bytes(body)), end) if name in _PIXELS else (b"", body, b"", end)
        if name in _KEPT or name[:1].isupper():
            raise ValueError("broken chunk")
        return b"", body, b"", end

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
        """Inflate all rows, keeping none. Raises ValueError, as Pillow does not, for a wrong number of them.

        Where the end of the rows is missing, or they have some bytes too many, they are packed anew.
        """
        bits = self._depth * _SAMPLES.get(self._colour, 0)
        for width, height, pieces in self._streams:
            size = 0
            for left, top, across, down in _ADAM7 if self._interlaced else _WHOLE:
                columns, rows = -((left - width) // across), -((top - height) // down)
                if columns > 0:
                    size += max(0, rows) * (1 + (columns * bits + 7) // 8)
            if not is_whole(pieces, size=size, spare=(width * bits + 7) // 8):
                self._pack_anew(pieces, size)

    def _pack_anew(self, pieces: list[Bytes], size: int) -> None:
        """Replace the pixels of a picture that is no animation."""
        if len(self._streams) > 1:
            raise ValueError("broken rows")
        self.is_mended = True
        packed = _frame(b"IDAT", packed_anew(pieces, size=size))
        for chunks in (self._kept, self._seen):
            place = next(place for place, chunk in enumerate(chunks) if chunk[4:8] == b"IDAT")
            chunks[:] = [chunk for chunk in chunks if chunk[4:8] != b"IDAT"]
            chunks.insert(place, packed)

    def shown(self) -> bytes:
        """Show the texts, too: a bomb in there is no picture that somebody made in good faith."""
        return b"".join([_SIGNATURE, *self._seen]) if self.is_mended else self._data

    def _written(self, exif: bytes) -> list[Bytes]:
        header, *others = self._kept
        return [_SIGNATURE, header, *([_frame(b"eXIf", exif)] if exif else []), *others]


def _frame(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
