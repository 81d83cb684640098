"""Pictures that are fine, though some are unusual: every one must be accepted (rows P60, P67 and P69)."""

import io
import struct
from collections.abc import Callable
from functools import cache

from PIL import Image

from simulator.pictures import png
from simulator.pictures.animation import Specimens, once

SIZE = (320, 240)
LATITUDE = (52.0, 31.0, 12.0)


@cache
def scene(size: tuple[int, int] = SIZE, mode: str = "RGB") -> Image.Image:
    """Return a small picture with many colours."""
    across = Image.linear_gradient("L").rotate(90).resize(size)
    down = Image.linear_gradient("L").resize(size)
    return Image.merge("RGB", (across, down, Image.radial_gradient("L").resize(size))).convert(mode)


def save(image: Image.Image, form: str, **options: object) -> bytes:
    """Encode a picture."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def encoded(form: str, **options: object) -> Callable[[], bytes]:
    """Return a maker of the usual scene in a format."""
    return lambda: save(scene(), form, **options)


def plain(mode: str, colour: tuple[int, ...], size: tuple[int, int] = SIZE) -> Callable[[], bytes]:
    """Return a maker of a PNG of one colour."""
    return lambda: save(Image.new(mode, size, colour), "PNG")


def sixteen_bit() -> bytes:
    """Return a 16-bit grey PNG."""
    return save(scene(mode="I").point(lambda value: value * 257).convert("I;16"), "PNG")


def palette_alpha() -> bytes:
    """Return a PNG with a palette whose entries are half transparent."""
    return save(scene().quantize(64), "PNG", transparency=bytes(range(0, 256, 4)))


def interlaced() -> bytes:
    """Return a PNG in Adam7 order whose pixels are all zero."""
    ihdr = png.chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, png.GREY, 0, 0, 1))
    passes = ((8, 8), (8, 8), (16, 8), (16, 16), (32, 16), (32, 32), (64, 32))
    data = png.zeros(sum(rows * (1 + columns) for columns, rows in passes))
    return png.SIGNATURE + ihdr + png.chunk(b"IDAT", data) + png.END


def exif(*, orientation: int = 1, gps: bool = False) -> Image.Exif:
    """Return EXIF data, with a place if wanted."""
    found = Image.Exif()
    found[0x0112] = orientation
    found[0x0131] = "Simulator"
    if gps:
        found[0x8825] = {1: "N", 2: LATITUDE, 3: "E", 4: (13.0, 24.0, 36.0)}
    return found


def c2pa() -> bytes:
    """Return a PNG with a caBX chunk, which is where C2PA keeps its manifest."""
    description = b"c2pa\x00\x11\x00\x10\x80\x00\x00\xaa\x008\x9bq\x03c2pa\x00"
    inner = struct.pack(">I4s", 8 + len(description), b"jumd") + description
    return png.insert(encoded("PNG")(), png.chunk(b"caBX", struct.pack(">I4s", 8 + len(inner), b"jumb") + inner))


def c2pa_jpeg() -> bytes:
    """Return a JPEG with a C2PA manifest in an APP11 segment."""
    box = struct.pack(">I4s", 8 + 12, b"jumb") + struct.pack(">I4s4s", 12, b"jumd", b"c2pa")
    payload = b"JP\x00\x01\x00\x00\x00\x01" + box
    whole = encoded("JPEG")()
    return whole[:2] + b"\xff\xeb" + struct.pack(">H", len(payload) + 2) + payload + whole[2:]


GOOD: Specimens = {
    "good_png": once(encoded("PNG")),
    "good_jpeg": once(encoded("JPEG")),
    "good_webp": once(encoded("WEBP", lossless=True)),
    "good_gif": once(encoded("GIF")),
}
UNUSUAL: Specimens = {
    "cmyk_jpeg": lambda: save(scene(mode="CMYK"), "JPEG"),
    "grey_jpeg": lambda: save(scene(mode="L"), "JPEG"),
    "progressive_jpeg": encoded("JPEG", progressive=True),
    "png_16_bit": sixteen_bit,
    "png_1_bit": lambda: save(scene(mode="1"), "PNG"),
    "png_palette_alpha": palette_alpha,
    "png_grey_alpha": lambda: save(scene(mode="LA"), "PNG"),
    "png_interlaced": interlaced,
    "jpeg_exif_rotated": lambda: save(scene(), "JPEG", exif=exif(orientation=6)),
    "webp_exif_rotated": lambda: save(scene(), "WEBP", exif=exif(orientation=6)),
    "jpeg_gps": lambda: save(scene(), "JPEG", exif=exif(gps=True)),
    "png_gps": lambda: save(scene(), "PNG", exif=exif(gps=True)),
    "webp_gps": lambda: save(scene(), "WEBP", exif=exif(gps=True)),
    "png_40_mpx": lambda: png.png(16_384, 2_441),
    "png_36_mpx_alpha": lambda: png.png(6_000, 6_000, colour=png.RGBA),
    "png_c2pa": c2pa,
    "jpeg_c2pa": c2pa_jpeg,
}
BLANK: Specimens = {
    "all_black": plain("RGB", (0, 0, 0)),
    "all_white": plain("RGB", (255, 255, 255)),
    "transparent": plain("RGBA", (0, 0, 0, 0)),
    "one_pixel": plain("RGB", (255, 0, 0), (1, 1)),
    "tiny_32": plain("RGB", (255, 0, 0), (32, 32)),
}
