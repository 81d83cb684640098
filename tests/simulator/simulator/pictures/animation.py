"""Assembles animated GIF, WebP and PNG files from one encoded frame, so that 10,000 frames cost no more than one."""

import io
import struct
import threading
from collections.abc import Callable
from functools import cache

from PIL import Image

from simulator.pictures import png

Specimens = dict[str, Callable[[], bytes]]

SIDE = 64
LOCK = threading.RLock()
FRAME_MS = 40


def once(make: Callable[[], bytes]) -> Callable[[], bytes]:
    """Return a maker that makes its file once, however many threads ask for it."""
    kept: list[bytes] = []

    def fetch() -> bytes:
        with LOCK:
            if not kept:
                kept.append(make())
        return kept[0]

    return fetch


@cache
def _encoded(form: str, width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    options = {"lossless": True, "method": 0} if form == "WEBP" else {}
    Image.new("P" if form == "GIF" else "RGB", (width, height)).save(buffer, form, **options)
    return buffer.getvalue()


def gif(frames: int, width: int = SIDE, height: int = SIDE) -> bytes:
    """Return a GIF whose frames are all alike."""
    still = _encoded("GIF", width, height)
    table = 3 << (still[10] & 7) + 1 if still[10] & 0x80 else 0
    head = b"GIF89a" + still[6 : 13 + table]
    picture = still[still.index(b"\x2c" + struct.pack("<HHHH", 0, 0, width, height), 13 + table) : -1]
    control = b"\x21\xf9\x04\x04" + struct.pack("<H", FRAME_MS // 10) + b"\x00\x00"
    loop = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
    return head + loop + (control + picture) * frames + b"\x3b"


def _u24(value: int) -> bytes:
    return struct.pack("<I", value)[:3]


def webp(frames: int, width: int = SIDE, height: int = SIDE) -> bytes:
    """Return a WebP whose frames are all alike."""
    picture = _encoded("WEBP", width, height)[12:]
    size = _u24(width - 1) + _u24(height - 1)
    extended = b"VP8X" + struct.pack("<IB3x", 10, 0x02) + size
    loop = b"ANIM" + struct.pack("<IIH", 6, 0, 0)
    frame = bytes(6) + size + _u24(FRAME_MS) + b"\x02" + picture
    body = extended + loop + (b"ANMF" + struct.pack("<I", len(frame)) + frame + b"\x00" * (len(frame) % 2)) * frames
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def apng(frames: int, width: int = SIDE, height: int = SIDE) -> bytes:
    """Return an animated PNG whose frames are all alike."""
    data = png.black(width, height, colour=png.GREY)
    parts = [png.SIGNATURE, png.header(width, height, colour=png.GREY)]
    parts.append(png.chunk(b"acTL", struct.pack(">II", frames, 0)))
    sequence = 0
    for number in range(frames):
        control = struct.pack(">IIIIIHHBB", sequence, width, height, 0, 0, FRAME_MS, 1000, 0, 0)
        parts.append(png.chunk(b"fcTL", control))
        sequence += 1
        if number == 0:
            parts.append(png.chunk(b"IDAT", data))
        else:
            parts.append(png.chunk(b"fdAT", struct.pack(">I", sequence) + data))
            sequence += 1
    return b"".join([*parts, png.END])
