"""Image files as their parts, split without any trust, so that parts can be dropped, doubled and swapped."""

from __future__ import annotations

import re
import struct
import zlib
from itertools import pairwise

_SCAN_END = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_PNG = b"\x89PNG\r\n\x1a\n"
_NAMED = struct.Struct(">I4s")


def parts(data: bytes) -> list[bytes]:
    """Split a file; joined, the parts are the file again, whatever it is."""
    if data.startswith(_PNG):
        ends = _png_ends(data)
    elif data.startswith(b"\xff\xd8"):
        ends = _jpeg_ends(data)
    elif data.startswith(b"RIFF"):
        ends = _webp_ends(data)
    elif data.startswith(b"GIF8"):
        ends = _gif_ends(data)
    else:
        ends = []
    places = [0, *(end for end in ends if end < len(data)), len(data)]
    return [data[begin:end] for begin, end in pairwise(places)]


def mended(data: bytes) -> bytes:
    """Make the checksums of a PNG and the length of a WebP right again, so that more than those is looked at."""
    if data.startswith(b"RIFF") and len(data) >= 8:
        return data[:4] + struct.pack("<I", len(data) - 8) + data[8:]
    if data.startswith(_PNG):
        return b"".join(map(_with_checksum, parts(data)))
    return data


def with_rows(data: bytes, change: bytes, at: int) -> bytes:
    """Change the inflated rows of a PNG: its filters and pixels, or how many there are."""
    pieces = parts(data)
    rows = [number for number, piece in enumerate(pieces) if piece[4:8] == b"IDAT"]
    try:
        inflater = zlib.decompressobj()
        inflated = inflater.decompress(b"".join(pieces[number][8:-4] for number in rows), 2**20)
    except zlib.error:
        return data
    if not rows:
        return data
    at %= len(inflated) + 1
    deflated = zlib.compress(inflated[:at] + change + inflated[at + len(change) * (at % 2) :])
    whole = _with_checksum(struct.pack(">I", len(deflated)) + b"IDAT" + deflated + bytes(4))
    return b"".join(
        whole if number == rows[0] else piece for number, piece in enumerate(pieces) if number not in rows[1:]
    )


def _with_checksum(piece: bytes) -> bytes:
    if len(piece) < 12 or piece.startswith(_PNG):
        return piece
    return piece[:-4] + struct.pack(">I", zlib.crc32(piece[4:-4]))


def _png_ends(data: bytes) -> list[int]:
    ends = [8]
    while ends[-1] + 12 <= len(data):
        length, _ = _NAMED.unpack_from(data, ends[-1])
        ends.append(ends[-1] + 12 + length)
    return ends


def _webp_ends(data: bytes) -> list[int]:
    ends = [12]
    while ends[-1] + 8 <= len(data):
        (length,) = struct.unpack_from("<I", data, ends[-1] + 4)
        ends.append(ends[-1] + 8 + length + length % 2)
    return ends


def _jpeg_ends(data: bytes) -> list[int]:
    ends = [2]
    while ends[-1] + 4 <= len(data):
        marker, length = struct.unpack_from(">xBH", data, ends[-1])
        is_alone = marker in (0xD8, 0xD9)
        ends.append(ends[-1] + (2 if is_alone else 2 + length))
        if marker == 0xDA:
            found = _SCAN_END.search(data, ends[-1])
            ends.append(found.start() if found else len(data))
    return ends


def _gif_ends(data: bytes) -> list[int]:
    if len(data) < 13:
        return []
    ends = [13 + _table(data[10])]
    while ends[-1] + 10 < len(data) and (kind := data[ends[-1]]) in (0x21, 0x2C):
        at = ends[-1] + (2 if kind == 0x21 else 11 + _table(data[ends[-1] + 9]))
        while at < len(data) and data[at]:
            at += 1 + data[at]
        ends.append(at + 1)
    return ends


def _table(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0
