"""Whole pictures whose files end sloppily: every one must be accepted, and stored with a proper end."""

import struct
import zlib
from collections.abc import Callable

from simulator.pictures import png
from simulator.pictures.animation import Specimens, once
from simulator.pictures.corpus_good import save, scene

SIZE = (96, 64)
WHOLE: Specimens = {
    "png": once(lambda: save(scene(SIZE), "PNG")),
    "jpeg": once(lambda: save(scene(SIZE), "JPEG")),
    "gif": once(lambda: save(scene(SIZE), "GIF")),
    "webp": once(lambda: save(scene(SIZE), "WEBP", lossless=True)),
}
ZEROS = bytes(16)


def cut(name: str, count: int) -> Callable[[], bytes]:
    """Return a maker of a whole picture without its last bytes."""
    return lambda: WHOLE[name]()[:-count]


def swapped(name: str, count: int, end: bytes) -> Callable[[], bytes]:
    """Return a maker of a whole picture with something else in place of its last bytes."""
    return lambda: WHOLE[name]()[:-count] + end


def tailed(name: str, tail: bytes) -> Callable[[], bytes]:
    """Return a maker of a whole picture with something behind it."""
    return lambda: WHOLE[name]() + tail


def repacked(extra: bytes = b"", *, cut_off: int = 0) -> bytes:
    """Return a PNG with bytes behind its rows, or without the end of their packing."""
    whole = WHOLE["png"]()
    at, packed = len(png.SIGNATURE) + 25, b""
    while at < len(whole):
        (length,) = struct.unpack_from(">I", whole, at)
        if whole[at + 4 : at + 8] == b"IDAT":
            packed += whole[at + 8 : at + 8 + length]
        at += 12 + length
    packed = zlib.compress(zlib.decompress(packed) + extra)
    return whole[: len(png.SIGNATURE) + 25] + png.chunk(b"IDAT", packed[: len(packed) - cut_off]) + png.END


def broken_text() -> bytes:
    """Return a PNG with a text whose checksum is wrong."""
    return png.insert(WHOLE["png"](), png.chunk(b"tEXt", b"Comment\x00hello", crc=7))


def junk_before_the_end() -> bytes:
    """Return a PNG with a byte between its pixels and its end."""
    return WHOLE["png"]()[: -len(png.END)] + b"\n" + png.END


def sized(size: int) -> Callable[[], bytes]:
    """Return a maker of a WebP whose RIFF header is wrong by so many bytes."""

    def make() -> bytes:
        whole = WHOLE["webp"]()
        return whole[:4] + struct.pack("<I", len(whole) - 8 + size) + whole[8:]

    return make


def unsized(size: int) -> Callable[[], bytes]:
    """Return a maker of a WebP whose RIFF header was never filled in."""
    return lambda: WHOLE["webp"]()[:4] + struct.pack("<I", size) + WHOLE["webp"]()[8:]


def unpadded() -> bytes:
    """Return a WebP with a last chunk of odd length and without the byte that fills it up."""
    body = WHOLE["webp"]()[12:] + b"NOTE" + struct.pack("<I", 3) + b"abc"
    return b"RIFF" + struct.pack("<I", 5 + len(body)) + b"WEBP" + body


def cut_note() -> bytes:
    """Return a WebP that ends within a chunk that shows nothing."""
    body = WHOLE["webp"]()[12:] + b"XMP " + struct.pack("<I", 900) + b"<x:xmpmeta"
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


SLOPPY: Specimens = {
    "png_no_end": cut("png", 12),
    "png_end_without_checksum": cut("png", 4),
    "png_half_an_end": cut("png", 7),
    "png_end_with_wrong_checksum": swapped("png", 4, b"\0\0\0\0"),
    "png_end_with_a_byte": swapped("png", 12, b"\0\0\0\1IEND\0\xa1\xb2\xc3\xd4"),
    "png_zeros_for_an_end": swapped("png", 12, ZEROS),
    "png_newline_for_an_end": swapped("png", 12, b"\r\n"),
    "png_no_checksum_of_its_pixels": cut("png", 16),
    "png_no_end_of_its_rows": cut("png", 20),
    "png_rows_without_checksum": lambda: repacked(cut_off=4),
    "png_byte_behind_its_rows": lambda: repacked(b"\0"),
    "png_byte_before_its_end": junk_before_the_end,
    "png_byte_behind_its_end": tailed("png", b"\0"),
    "png_text_with_wrong_checksum": broken_text,
    "jpeg_no_end": cut("jpeg", 2),
    "jpeg_half_an_end": cut("jpeg", 1),
    "jpeg_zeros_for_an_end": swapped("jpeg", 2, ZEROS),
    "jpeg_newline_for_an_end": swapped("jpeg", 2, b"\r\n"),
    "jpeg_byte_behind_its_end": tailed("jpeg", b"\0"),
    "jpeg_cut_comment_for_an_end": swapped("jpeg", 2, b"\xff\xfe\0\x40hello"),
    "gif_no_trailer": cut("gif", 1),
    "gif_no_end_of_its_pixels": cut("gif", 2),
    "gif_zeros_for_a_trailer": swapped("gif", 1, ZEROS),
    "gif_newline_for_a_trailer": swapped("gif", 1, b"\r\n"),
    "gif_byte_before_its_trailer": swapped("gif", 1, b"\0;"),
    "gif_byte_behind_its_trailer": tailed("gif", b"\0"),
    "webp_size_too_small": sized(-2),
    "webp_size_too_large": sized(1),
    "webp_size_of_the_file": sized(8),
    "webp_size_zero": unsized(0),
    "webp_size_never_known": unsized(0xFFFFFFFF),
    "webp_byte_behind_its_end": tailed("webp", b"\0"),
    "webp_no_padding": unpadded,
    "webp_cut_note": cut_note,
}
