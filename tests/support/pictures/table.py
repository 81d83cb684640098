"""The files of the folder `files`: what each one is, how it is made, and what becomes of it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pillow_heif
from PIL import Image, ImageOps
from simulator.pictures import png
from simulator.pictures.corpus_good import exif, save, scene
from simulator.pictures.corpus_sloppy import SIZE, SLOPPY, WHOLE

FOLDER = Path(__file__).with_name("files")
NO_UPLOAD, BAD, FOREIGN = "upload_not_an_image", "bad_image", "unsupported_image"

pillow_heif.register_heif_opener()


@dataclass(frozen=True, slots=True)
class MadePicture:
    """A file; `reference` and `answer` are the type that it has then, or the code of the refusal."""

    what: str
    make: Callable[[], bytes]
    reference: str
    answer: str

    @property
    def is_taken(self) -> bool:
        """Tell whether it is a whole picture as a reference."""
        return self.reference.startswith("image/")


def _lying(orientation: int, mode: str = "RGB") -> Image.Image:
    """Make a picture that looks like the others once it is turned as EXIF's number says."""
    picture = scene(SIZE, mode).copy()
    picture.getexif()[0x0112] = {6: 8, 8: 6}.get(orientation, orientation)
    turned = ImageOps.exif_transpose(picture)
    turned.getexif().clear()
    return turned


def _turned(kind: str, orientation: int) -> Callable[[], bytes]:
    tags = exif(orientation=orientation, gps=True)
    more = {"exif": tags.tobytes() if kind == "HEIF" else tags}
    return lambda: save(_lying(orientation), kind, **more)


def _encoded(kind: str, mode: str = "RGB", **options: object) -> Callable[[], bytes]:
    return lambda: save(scene(SIZE, mode), kind, **options)


def _cut(make: Callable[[], bytes], share: float, end: bytes = b"") -> Callable[[], bytes]:
    return lambda: make()[: int(share * len(make()))].rstrip(b"\xff") + end


def _half_seen() -> Image.Image:
    return Image.merge("RGBA", [*scene(SIZE).split(), scene(SIZE, "L")])


def _without_last_scan() -> bytes:
    whole = save(scene(SIZE), "JPEG", progressive=True)
    return whole[: whole.rindex(b"\xff\xc4")]


def _with_wrong_checksum() -> bytes:
    whole = WHOLE["png"]()
    return whole[:-16] + b"abcd" + png.END


def _without_a_row() -> bytes:
    return png.SIGNATURE + png.header(96, 64) + png.chunk(b"IDAT", png.black(96, 63)) + png.END


def _with_cut_picture() -> bytes:
    body = WHOLE["webp"]()[12:-40]
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def _phone() -> bytes:
    return save(scene(SIZE), "MPO", save_all=True, append_images=[scene((48, 32))])


def _sloppy() -> dict[str, MadePicture]:
    found = {}
    for name, make in SLOPPY.items():
        kind, _, fault = name.partition("_")
        what = f"{kind.upper()}: {fault.replace('_', ' ')}"
        found[f"{name}.{kind}"] = MadePicture(what, make, f"image/{kind}", f"image/{kind}")
    return found


_PNG, _JPEG, _WEBP = "image/png", "image/jpeg", "image/webp"
PICTURES: dict[str, MadePicture] = {
    **_sloppy(),
    **{
        f"jpeg_turned_{number}.jpeg": MadePicture(
            f"JPEG that EXIF says to turn ({number}), with a place", _turned("JPEG", number), _JPEG, _JPEG
        )
        for number in range(2, 9)
    },
    "png_turned_6.png": MadePicture("PNG that EXIF says to turn", _turned("PNG", 6), _PNG, _PNG),
    "webp_turned_6.webp": MadePicture("WebP that EXIF says to turn", _turned("WEBP", 6), _JPEG, _WEBP),
    "avif_turned_6.avif": MadePicture("AVIF that is to be turned", _turned("AVIF", 6), _JPEG, FOREIGN),
    "heic_turned_6.heic": MadePicture("HEIC that is to be turned", _turned("HEIF", 6), _JPEG, FOREIGN),
    "jpeg_of_a_phone.jpeg": MadePicture("JPEG with a second picture behind it (MPO)", _phone, _JPEG, _JPEG),
    "jpeg_cmyk.jpeg": MadePicture("JPEG for printers", _encoded("JPEG", "CMYK"), _JPEG, _JPEG),
    "avif.avif": MadePicture("AVIF", _encoded("AVIF"), _JPEG, FOREIGN),
    "avif_see_through.avif": MadePicture(
        "AVIF that one can see through", lambda: save(_half_seen(), "AVIF"), _PNG, FOREIGN
    ),
    "heic.heic": MadePicture("HEIC, as iPhones make it", _encoded("HEIF"), _JPEG, FOREIGN),
    "png_half.png": MadePicture("half of a PNG", _cut(WHOLE["png"], 0.5), NO_UPLOAD, BAD),
    "png_half_with_end.png": MadePicture(
        "half of a PNG, and its end", _cut(WHOLE["png"], 0.5, png.END), NO_UPLOAD, BAD
    ),
    "png_wrong_checksum.png": MadePicture(
        "PNG whose pixels have a wrong checksum", _with_wrong_checksum, NO_UPLOAD, BAD
    ),
    "png_row_missing.png": MadePicture("PNG without its last row", _without_a_row, NO_UPLOAD, BAD),
    "jpeg_half.jpeg": MadePicture("half of a JPEG", _cut(WHOLE["jpeg"], 0.7), NO_UPLOAD, BAD),
    "jpeg_half_with_end.jpeg": MadePicture(
        "half of a JPEG, and an end marker", _cut(WHOLE["jpeg"], 0.7, b"\xff\xd9"), NO_UPLOAD, BAD
    ),
    "jpeg_half_and_zeros.jpeg": MadePicture(
        "half of a JPEG, and zeros", _cut(WHOLE["jpeg"], 0.7, bytes(99)), NO_UPLOAD, BAD
    ),
    "jpeg_scan_missing.jpeg": MadePicture("progressive JPEG without its last scan", _without_last_scan, NO_UPLOAD, BAD),
    "gif_half.gif": MadePicture("half of a GIF", _cut(WHOLE["gif"], 0.8), NO_UPLOAD, BAD),
    "gif_half_with_trailer.gif": MadePicture(
        "half of a GIF, and its trailer", _cut(WHOLE["gif"], 0.8, b"\0;"), NO_UPLOAD, BAD
    ),
    "webp_half.webp": MadePicture("half of a WebP", _cut(WHOLE["webp"], 0.5), NO_UPLOAD, BAD),
    "webp_cut_picture.webp": MadePicture(
        "WebP whose picture is cut and whose size is right", _with_cut_picture, NO_UPLOAD, BAD
    ),
    "avif_half.avif": MadePicture("half of an AVIF", _cut(_encoded("AVIF"), 0.5), NO_UPLOAD, FOREIGN),
    "heic_half.heic": MadePicture("half of a HEIC", _cut(_encoded("HEIF"), 0.5), NO_UPLOAD, FOREIGN),
}
