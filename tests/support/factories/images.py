"""Small pictures for tests: real ones, of noise, so that they are not blank and no two sizes look alike."""

import io

from PIL import Image

NOISE = bytes((7 * n * n + n // 3) % 251 for n in range(3 * 251))  # and so on: the squares repeat


def picture(side: int = 64, kind: str = "PNG", *, blank: bool = False) -> bytes:
    """Encode a square of noise, or of one colour; the same bytes each time."""
    size = 3 * side * side
    pixels = bytes(size) if blank else (NOISE * (size // len(NOISE) + 1))[:size]
    file = io.BytesIO()
    Image.frombytes("RGB", (side, side), pixels).save(file, kind)
    return file.getvalue()
