"""Image files: the good ones of the simulator's corpus with something put into them."""

import io
import struct

from PIL import Image
from simulator.pictures.corpus import ROWS, specimen

MIMES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif"}
TAKEN = [*ROWS["good"], *ROWS["P62"], *(name for name in ROWS["P67"] if "mpx" not in name), *ROWS["P69"]]


def noise(size: tuple[int, int] = (40, 30), mode: str = "RGB") -> Image.Image:
    """Make a picture that cannot be packed well."""
    return Image.effect_noise(size, 90).convert(mode)


def opened(data: bytes) -> Image.Image:
    """Decode a picture."""
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def into_jpeg(extra: bytes) -> bytes:
    """Put something right behind JFIF's segment."""
    whole = specimen("good_jpeg")
    return whole[:20] + extra + whole[20:]


def into_webp(extra: bytes) -> bytes:
    """Put something behind the last chunk."""
    whole = specimen("good_webp")
    return b"RIFF" + struct.pack("<I", len(whole) - 8 + len(extra)) + whole[8:] + extra


def into_gif(extra: bytes) -> bytes:
    """Put something behind the last frame."""
    return specimen("good_gif")[:-1] + extra + b";"


def tiny_gif(frames: int, width: int = 1, height: int = 1) -> bytes:
    """Make a GIF by hand whose frames have 15 bytes each."""
    header = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return header + frame * frames + b";"
