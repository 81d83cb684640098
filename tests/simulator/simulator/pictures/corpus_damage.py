"""Pictures that are cut off or corrupt (rows P58 and P59): none may be accepted."""

import struct
from collections.abc import Callable

from simulator.pictures import png
from simulator.pictures.animation import Specimens
from simulator.pictures.corpus_good import GOOD

IDAT_AT = 33


def half(name: str) -> Callable[[], bytes]:
    """Return a maker of the first half of a good picture."""
    return lambda: GOOD[name]()[: len(GOOD[name]()) // 2]


def start(name: str, count: int) -> Callable[[], bytes]:
    """Return a maker of the first bytes of a good picture."""
    return lambda: GOOD[name]()[:count]


def bad_crc() -> bytes:
    """Return a PNG whose image data has a wrong checksum."""
    return png.SIGNATURE + png.header(64, 64) + png.chunk(b"IDAT", png.black(64, 64), crc=0) + png.END


def bad_header_crc() -> bytes:
    """Return a PNG whose header has a wrong checksum."""
    whole = bytearray(GOOD["good_png"]())
    whole[IDAT_AT - 1] ^= 0xFF
    return bytes(whole)


def bad_adler() -> bytes:
    """Return a PNG whose deflated data has a wrong checksum inside a good chunk."""
    data = png.chunk(b"IDAT", png.black(64, 64)[:-4] + b"\x00\x00\x00\x00")
    return png.SIGNATURE + png.header(64, 64) + data + png.END


def flipped() -> bytes:
    """Return a PNG with one wrong byte in the middle of its image data, and a matching chunk checksum."""
    data = bytearray(png.black(256, 256))
    data[len(data) // 2] ^= 0xFF
    return png.SIGNATURE + png.header(256, 256) + png.chunk(b"IDAT", bytes(data)) + png.END


def few_rows() -> bytes:
    """Return a PNG that promises more rows than it holds."""
    return png.SIGNATURE + png.header(64, 640) + png.chunk(b"IDAT", png.black(64, 64)) + png.END


def no_data() -> bytes:
    """Return a PNG without any image data."""
    return png.SIGNATURE + png.header(64, 64) + png.END


def wrong_length() -> bytes:
    """Return a PNG with a chunk that claims to be four gigabytes long."""
    return png.SIGNATURE + png.header(64, 64) + struct.pack(">I", 0xFFFFFFF0) + b"IDAT" + png.black(64, 64)


def noisy_jpeg() -> bytes:
    """Return a JPEG whose middle was overwritten with end markers."""
    whole = GOOD["good_jpeg"]()
    middle = len(whole) // 2
    return whole[:middle] + b"\xff\xd9" * 20


HOLLOW: Specimens = {"empty": lambda: b"", "one_byte": lambda: b"\x89", "spaces": lambda: b" " * 64}
DAMAGED: Specimens = {
    "truncated_png": half("good_png"),
    "truncated_jpeg": half("good_jpeg"),
    "truncated_webp": half("good_webp"),
    "truncated_gif": half("good_gif"),
    "bad_crc_png": bad_crc,
    "bad_header_crc_png": bad_header_crc,
    "bad_adler_png": bad_adler,
    "flipped_png": flipped,
    "few_rows_png": few_rows,
    "no_data_png": no_data,
    "wrong_length_png": wrong_length,
    "signature_png": start("good_png", 8),
    "header_png": start("good_png", IDAT_AT),
    "header_jpeg": start("good_jpeg", 20),
    "header_webp": start("good_webp", 16),
    "header_gif": start("good_gif", 13),
    "early_end_jpeg": noisy_jpeg,
}
