"""Pictures that cost far more to open than to send (rows P63 to P66), and animations that cost little (P66)."""

import struct
import zlib

from simulator.pictures import animation, png
from simulator.pictures.animation import Specimens
from simulator.pictures.corpus_good import GOOD, encoded

INFLATED_BYTES = 200_000_000
CHUNKS = 50_000
PROFILE_JUNK = bytes(range(256)) * 16


def claim(width: int, height: int) -> bytes:
    """Return a PNG that claims a size its data does not have."""
    data = png.chunk(b"IDAT", zlib.compress(bytes(1000)))
    return png.SIGNATURE + png.header(width, height) + data + png.END


def claim_jpeg(width: int, height: int) -> bytes:
    """Return a JPEG that claims a size its data does not have."""
    whole = bytearray(GOOD["good_jpeg"]())
    at = whole.index(b"\xff\xc0") + 5
    whole[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(whole)


def claim_gif(width: int, height: int) -> bytes:
    """Return a GIF that claims a size its data does not have."""
    whole = GOOD["good_gif"]()
    return whole[:6] + struct.pack("<HH", width, height) + whole[10:]


def claim_webp() -> bytes:
    """Return an extended WebP that claims 16,777,216 pixels each way."""
    body = b"VP8X" + struct.pack("<IB3x", 10, 0) + b"\xff" * 6 + GOOD["good_webp"]()[12:]
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def text_bomb(kind: bytes) -> bytes:
    """Return a PNG with a text chunk or a profile that inflates to 200 MB."""
    head = {b"zTXt": b"Comment\x00\x00", b"iTXt": b"Comment\x00\x01\x00\x00\x00", b"iCCP": b"ICC\x00\x00"}[kind]
    return png.insert(GOOD["good_png"](), png.chunk(kind, head + png.zeros(INFLATED_BYTES)))


def many_chunks(kind: bytes, data: bytes) -> bytes:
    """Return a PNG with 50,000 small chunks."""
    return png.insert(GOOD["good_png"](), png.chunk(kind, data) * CHUNKS)


def split_data() -> bytes:
    """Return a PNG whose image data comes in thousands of chunks of one byte."""
    data = png.black(640, 640)
    pieces = b"".join(png.chunk(b"IDAT", data[at : at + 1]) for at in range(len(data)))
    empty = png.chunk(b"IDAT") * CHUNKS
    return png.SIGNATURE + png.header(640, 640) + empty + pieces + png.END


def many_rows() -> bytes:
    """Return a PNG of 64x64 pixels whose image data inflates to 243 MB."""
    return png.SIGNATURE + png.header(64, 64) + png.chunk(b"IDAT", png.black(9_000, 9_000)) + png.END


def looping_exif() -> bytes:
    """Return EXIF data whose directory names itself as its next one, as its details and as its thumbnail."""
    entries = [(0x0112, 3, 1, 1), (0x8769, 4, 1, 8), (0x8825, 4, 1, 8), (0xA005, 4, 1, 8)]
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\x00" + struct.pack("<I", 8) + directory + struct.pack("<I", 8)


def greedy_exif() -> bytes:
    """Return EXIF data with an entry that claims four billion values."""
    return b"II*\x00" + struct.pack("<IHHHIII", 8, 1, 0x9286, 7, 0xFFFFFFFF, 26, 0)


def jpeg_with(marker: int, payload: bytes) -> bytes:
    """Return a JPEG with one more segment."""
    whole = GOOD["good_jpeg"]()
    return whole[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload + whole[2:]


def png_exif(exif: bytes) -> bytes:
    """Return a PNG with an EXIF chunk."""
    return png.insert(GOOD["good_png"](), png.chunk(b"eXIf", exif))


def many_scans() -> bytes:
    """Return a progressive JPEG whose last scan is repeated ten thousand times."""
    whole = encoded("JPEG", progressive=True)()
    return whole[:-2] + whole[whole.rindex(b"\xff\xda") : -2] * 10_000 + whole[-2:]


HEADER_BOMBS: Specimens = {
    "claims_50000x50000": lambda: claim(50_000, 50_000),
    "claims_1x1000000": lambda: claim(1, 1_000_000),
    "claims_1000000x1": lambda: claim(1_000_000, 1),
    "claims_0x0": lambda: claim(0, 0),
    "claims_2147483647": lambda: claim(2**31 - 1, 2**31 - 1),
    "claims_65500_jpeg": lambda: claim_jpeg(65_500, 65_500),
    "claims_0x0_jpeg": lambda: claim_jpeg(0, 0),
    "claims_65535_gif": lambda: claim_gif(65_535, 65_535),
    "claims_0x0_gif": lambda: claim_gif(0, 0),
    "claims_huge_webp": claim_webp,
}
PIXEL_BOMBS: Specimens = {
    "bomb_9000": lambda: png.png(9_000, 9_000),
    "bomb_13000": lambda: png.png(13_000, 13_000),
}
METADATA_BOMBS: Specimens = {
    "ztxt_bomb": lambda: text_bomb(b"zTXt"),
    "itxt_bomb": lambda: text_bomb(b"iTXt"),
    "iccp_bomb": lambda: text_bomb(b"iCCP"),
    "many_text_chunks": lambda: many_chunks(b"tEXt", b"a\x00b"),
    "many_unknown_chunks": lambda: many_chunks(b"prVt", b"x" * 16),
    "many_data_chunks": split_data,
    "many_rows": many_rows,
    "many_scans_jpeg": many_scans,
    "exif_loop_jpeg": lambda: jpeg_with(0xE1, b"Exif\x00\x00" + looping_exif()),
    "exif_loop_png": lambda: png_exif(looping_exif()),
    "exif_greedy_jpeg": lambda: jpeg_with(0xE1, b"Exif\x00\x00" + greedy_exif()),
    "icc_junk_jpeg": lambda: jpeg_with(0xE2, b"ICC_PROFILE\x00\x01\x01" + PROFILE_JUNK),
    "icc_junk_png": lambda: png.insert(
        GOOD["good_png"](), png.chunk(b"iCCP", b"ICC\x00\x00" + zlib.compress(PROFILE_JUNK))
    ),
}
ANIMATIONS: Specimens = {
    "gif_1_frame": lambda: animation.gif(1),
    "gif_10_frames": lambda: animation.gif(10),
    "gif_10000_frames": lambda: animation.gif(10_000),
    "gif_800_mpx": lambda: animation.gif(200, 2_000, 2_000),
    "webp_1_frame": lambda: animation.webp(1),
    "webp_10_frames": lambda: animation.webp(10),
    "webp_10000_frames": lambda: animation.webp(10_000),
    "webp_800_mpx": lambda: animation.webp(200, 2_000, 2_000),
    "apng_1_frame": lambda: animation.apng(1),
    "apng_10_frames": lambda: animation.apng(10),
    "apng_10000_frames": lambda: animation.apng(10_000),
    "apng_800_mpx": lambda: animation.apng(200, 2_000, 2_000),
}
