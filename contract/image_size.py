"""What an image size means: the hints 512, 1K, 2K and 4K in pixels, for each part that has to turn one into the other.

Three definitions stand side by side, as three kinds of partners mean different things by the same word:

- `side`: providers that take a hint make pictures with about this side, so explicit pixels with a longer side come down
  to the hint.
- `most_pixels`: clients of OpenAI's API send pixels, which become a hint. They mean 1K by 1536x1024, too, so the limits
  lie between the hints' own pixels.
- `GPT_IMAGE_SIZES`: the models of gpt-image make three fixed sizes, chosen by the ratio; a hint says nothing to them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MIN_SIDE, MAX_SIDE = 64, 4096  # of explicit pixels
_EXPLICIT_SIZE = re.compile(r"([1-9][0-9]{1,4})x([1-9][0-9]{1,4})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeHint:
    """A size that is no exact number of pixels."""

    name: str
    side: int
    most_pixels: int | None  # of a client's size that means this hint; None: no client means it


HINTS = (
    SizeHint(name="512", side=512, most_pixels=None),
    SizeHint(name="1K", side=1024, most_pixels=2_000_000),
    SizeHint(name="2K", side=2048, most_pixels=6_000_000),
    SizeHint(name="4K", side=4096, most_pixels=99_999**2),  # whatever can be spelt
)
SIZES = tuple(hint.name for hint in HINTS)

SQUARE, TALL, WIDE = "1024x1024", "1024x1536", "1536x1024"
GPT_IMAGE_SIZES = {"1:1": SQUARE, "3:4": TALL, "9:16": TALL, "2:3": TALL, "4:3": WIDE, "16:9": WIDE, "3:2": WIDE}
GPT_IMAGE_MOST_PIXELS = 1536 * 1024  # of the largest of them


def explicit_size(image_size: str) -> tuple[int, int] | None:
    """Read WIDTHxHEIGHT in pixels, or None for a size hint such as 2K."""
    match = _EXPLICIT_SIZE.fullmatch(image_size)
    return (int(match[1]), int(match[2])) if match else None


def hint_of(width: int, height: int) -> str:
    """Name the hint that a client of OpenAI's API means by some pixels."""
    return next(hint.name for hint in HINTS if hint.most_pixels is not None and width * height <= hint.most_pixels)


def smaller_hint(image_size: str, hints: tuple[str, ...]) -> str | None:
    """Name the next smaller of some hints; explicit pixels come down to the largest one below them."""
    sides = explicit_size(image_size)
    own = next((hint.side for hint in HINTS if hint.name == image_size), None)
    side = max(sides) if sides else own if image_size in hints else None
    below = [hint for hint in HINTS if hint.name in hints and side is not None and hint.side < side]
    return below[-1].name if below else None
