"""Files that are no picture, or a picture and something else too (rows P61 and P62)."""

import io
import struct
import zipfile
from collections.abc import Callable

from simulator.pictures import png
from simulator.pictures.animation import Specimens
from simulator.pictures.corpus_good import GOOD, encoded, exif, save, scene

PAGE = b"<!doctype html><html><script>alert(document.domain)</script><h1>Not a picture</h1></html>"
PHP = b"<?php system($_GET['c']); __halt_compiler(); ?>"
SVG = b"""<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<svg xmlns="http://www.w3.org/2000/svg" width="640" height="480"><script>alert(1)</script><text>&x;</text></svg>"""
PDF = b"""%PDF-1.7
1 0 obj<</Type/Catalog/OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj
trailer<</Root 1 0 R>>
%%EOF"""
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 320 240\n%%EndComments\n(/etc/passwd) (r) file\nshowpage\n%%EOF\n"
ELF = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHI", 2, 62, 1) + bytes(200)
MZ = b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\x00\x00" + bytes(200)


def zipped(name: str = "evil.txt") -> bytes:
    """Return a ZIP archive with one file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, "Main-Class: Evil\n")
    return buffer.getvalue()


def boxes(brand: bytes) -> bytes:
    """Return the beginning of an ISO media file, such as AVIF, HEIC and MP4."""
    return struct.pack(">I4s4sI4s", 20, b"ftyp", brand, 0, b"mif1") + struct.pack(">I4s", 108, b"meta") + bytes(100)


def photoshop() -> bytes:
    """Return a small Photoshop file, raw and without layers."""
    width = height = 64
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, height, width, 8, 3)
    return head + bytes(12) + b"\x00\x00" + bytes(3 * width * height)


def tailed(name: str, tail: Callable[[], bytes]) -> Callable[[], bytes]:
    """Return a maker of a good picture with something behind its end."""
    return lambda: GOOD[name]() + tail()


def php_comment() -> bytes:
    """Return a JPEG with PHP in its comment."""
    return save(scene(), "JPEG", comment=PHP)


def php_exif() -> bytes:
    """Return a JPEG with PHP in its EXIF data."""
    found = exif()
    found[0x010E] = PHP.decode()
    return save(scene(), "JPEG", exif=found)


def page_text() -> bytes:
    """Return a PNG with a web page in a text chunk."""
    return png.insert(GOOD["good_png"](), png.chunk(b"tEXt", b"Comment\x00" + PAGE))


def page_gif() -> bytes:
    """Return a GIF with a web page in a comment extension."""
    whole = GOOD["good_gif"]()
    end = whole.rindex(b"\x3b")
    return whole[:end] + b"\x21\xfe" + bytes([len(PAGE)]) + PAGE + b"\x00" + whole[end:]


def script_webp() -> bytes:
    """Return a WebP with an unknown chunk that holds a script."""
    body = GOOD["good_webp"]()[12:] + b"EVIL" + struct.pack("<I", len(PAGE)) + PAGE + b"\x00" * (len(PAGE) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


FOREIGN: Specimens = {
    "svg": lambda: SVG,
    "html": lambda: PAGE,
    "pdf": lambda: PDF,
    "zip": zipped,
    "avif": encoded("AVIF"),
    "avif_like": lambda: boxes(b"avif"),
    "heic_like": lambda: boxes(b"heic"),
    "mp4_like": lambda: boxes(b"isom"),
    "tiff": encoded("TIFF"),
    "psd": photoshop,
    "eps": lambda: EPS,
    "bmp": encoded("BMP"),
    "ico": encoded("ICO"),
    "jpeg_2000_like": lambda: b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(100),
    "elf": lambda: ELF,
    "exe": lambda: MZ,
    "text": lambda: b"I'm sorry, I can't create that image.",
    "json": lambda: b'{"error":{"code":500,"message":"Internal"}}',
}
POLYGLOTS: Specimens = {
    "png_zip_tail": tailed("good_png", zipped),
    "png_html_tail": tailed("good_png", lambda: PAGE),
    "png_js_tail": tailed("good_png", lambda: b"\n/*\n*/;alert(document.domain)//"),
    "png_long_tail": tailed("good_png", lambda: bytes(1_000_000)),
    "gif_jar_tail": tailed("good_gif", lambda: zipped("META-INF/MANIFEST.MF")),
    "jpeg_zip_tail": tailed("good_jpeg", zipped),
    "webp_zip_tail": tailed("good_webp", zipped),
    "jpeg_php_comment": php_comment,
    "jpeg_php_exif": php_exif,
    "png_html_text": page_text,
    "gif_html_comment": page_gif,
    "webp_html_chunk": script_webp,
}
