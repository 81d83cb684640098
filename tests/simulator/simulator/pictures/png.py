"""Builds PNG files chunk by chunk, so that any chunk may be wrong, huge or missing.

Runs of zeros are deflated without ever being held: a bomb of gigabytes costs a millisecond and its compressed size.
"""

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = b"\x00\x00\x00\x00IEND\xaeB`\x82"

GREY, RGB, PALETTE, RGBA = 0, 2, 3, 6
SAMPLES = {GREY: 1, RGB: 3, PALETTE: 1, RGBA: 4}

_RUN_BYTES = 1 << 20
_ADLER = 65521


def chunk(kind: bytes, data: bytes = b"", *, crc: int | None = None) -> bytes:
    """Frame a chunk; `crc` replaces the right checksum."""
    checksum = zlib.crc32(kind + data) if crc is None else crc
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def header(width: int, height: int, *, colour: int = RGB, depth: int = 8) -> bytes:
    """Frame an IHDR chunk."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


def zeros(count: int) -> bytes:
    """Return the zlib stream of that many zero bytes, at about a thousandth of the size."""
    runs, rest = divmod(count, _RUN_BYTES)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    run = packer.compress(bytes(_RUN_BYTES)) + packer.flush(zlib.Z_FULL_FLUSH)
    tail = packer.compress(bytes(rest)) + packer.flush()
    adler = (count % _ADLER) << 16 | 1
    return b"\x78\xda" + run * runs + tail + struct.pack(">I", adler)


def black(width: int, height: int, *, colour: int = RGB) -> bytes:
    """Return the image data of a black picture; every row begins with a filter byte."""
    return zeros(height * (1 + width * SAMPLES[colour]))


def png(width: int, height: int, *, extra: bytes = b"", tail: bytes = b"", colour: int = RGB) -> bytes:
    """Assemble a black picture with further chunks before and after its image data."""
    data = chunk(b"IDAT", black(width, height, colour=colour))
    return SIGNATURE + header(width, height, colour=colour) + extra + data + tail + END


def insert(whole: bytes, extra: bytes) -> bytes:
    """Put chunks right after the IHDR of a PNG file."""
    first = len(SIGNATURE) + 25
    return whole[:first] + extra + whole[first:]
