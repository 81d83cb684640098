"""Content encodings that were not asked for: honest ones, bombs of 256 MiB, and lies (row P54).

Each function takes the good answer and returns the Content-Encoding and the body. The bombs are blanks before good
JSON wherever the format lets us say so cheaply, so that a client that unpacks them finds nothing wrong.
"""

import gzip
import struct
import threading
import zlib
from collections.abc import Callable
from functools import cache

BOMB_BYTES = 256 * 2**20
_RUN_BYTES = 2**20
_RLE_BYTES = 128 * 1024
_LOCK = threading.Lock()

# 256 MiB of blanks, packed by brotli's own encoder.
BROTLI_BOMB = bytes.fromhex(
    "cfffff7f002440e2b14072effff9ffff0f8004401c1680eefd3fffffff01900088c302d0bdffe7ffff3f001200715800baf7fffc"
    "ffff074002200e0b40f7fe9fffffff004800c46101e8defff3ffff1f000980382c00ddfb7ffeffff032001108705a07bffcfffff"
    "7f002400e2b00074effff9ffff0f8004401c1680eefd3fffffff01900088c302d0bdffe7ffff3f001200715800baf7fffcffff07"
    "4002200e0b40f7fe9fffffff004800c46101e8defff3ffff1f000980382c00ddfbfffcffff072001108705a07bff0f"
)

Encode = Callable[[bytes], tuple[str, bytes]]


def _blanks() -> tuple[bytes, int]:
    """Return 256 MiB of blanks as raw deflate blocks without an end, and their CRC."""
    with _LOCK:
        return _make_blanks()


@cache
def _make_blanks() -> tuple[bytes, int]:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    run = b" " * _RUN_BYTES
    packed = packer.compress(run) + packer.flush(zlib.Z_FULL_FLUSH)
    crc = 0
    for _ in range(BOMB_BYTES // _RUN_BYTES):
        crc = zlib.crc32(run, crc)
    return packed * (BOMB_BYTES // _RUN_BYTES), crc


def gzip_bomb(good: bytes) -> bytes:
    """Return a quarter of a megabyte of gzip: 256 MiB of blanks and then the good answer."""
    blanks, crc = _blanks()
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    end = packer.compress(good) + packer.flush()
    trailer = struct.pack("<II", zlib.crc32(good, crc), (BOMB_BYTES + len(good)) & 0xFFFFFFFF)
    return b"\x1f\x8b\x08" + bytes(6) + b"\xff" + blanks + end + trailer


def zstd_bomb() -> bytes:
    """Return 256 MiB of blanks as a zstd frame of runs, four bytes for each 128 KiB."""
    blocks = BOMB_BYTES // _RLE_BYTES
    size = _RLE_BYTES << 3 | 1 << 1
    run = struct.pack("<I", size)[:3] + b" "
    last = struct.pack("<I", size | 1)[:3] + b" "
    return b"\x28\xb5\x2f\xfd\x00\x38" + run * (blocks - 1) + last


def zstd(good: bytes) -> bytes:
    """Return the good answer as a zstd frame of raw blocks."""
    pieces = [good[at : at + _RLE_BYTES] for at in range(0, len(good), _RLE_BYTES)]
    frame = b"\x28\xb5\x2f\xfd\x00\x38"
    for number, piece in enumerate(pieces, 1):
        frame += struct.pack("<I", len(piece) << 3 | (number == len(pieces)))[:3] + piece
    return frame


def twice(good: bytes) -> tuple[str, bytes]:
    """Return the bomb in gzip once more: a few hundred bytes."""
    return "gzip, gzip", gzip.compress(gzip_bomb(good))


ENCODINGS: dict[str, Encode] = {
    "gzip": lambda good: ("gzip", gzip.compress(good, 1)),
    "deflate": lambda good: ("deflate", zlib.compress(good, 1)),
    "zstd": lambda good: ("zstd", zstd(good)),
    "gzip_bomb": lambda good: ("gzip", gzip_bomb(good)),
    "deflate_bomb": lambda good: ("deflate", b"\x78\xda" + _blanks()[0]),
    "gzip_of_gzip": lambda good: ("gzip, gzip", gzip.compress(gzip.compress(good, 1), 1)),
    "gzip_of_gzip_unsaid": lambda good: ("gzip", gzip.compress(gzip.compress(good, 1), 1)),
    "gzip_of_gzip_bomb": twice,
    "brotli_bomb": lambda good: ("br", BROTLI_BOMB),
    "zstd_bomb": lambda good: ("zstd", zstd_bomb()),
    "says_gzip": lambda good: ("gzip", good),
    "says_brotli": lambda good: ("br", good),
    "says_nothing": lambda good: ("identity", gzip.compress(good, 1)),
    "unknown": lambda good: ("x-secret", good),
    "gzip_cut": lambda good: ("gzip", gzip.compress(good, 1)[: len(good) // 4]),
    "many_layers": lambda good: (", ".join(["gzip"] * 50), gzip.compress(good, 1)),
}
