"""What an image size means: the hints 512, 1K, 2K and 4K in pixels, for each part that has to turn one into the other.

Four definitions stand side by side, as four kinds of partners mean different things by the same word:

- `side`: providers that take a hint make pictures with about this side.
- `most_pixels`: clients send pixels, which become a hint for providers that take no others. They mean 1K by 1536x1024,
  too, so the limits lie between the hints' own pixels.
- `least_pixels`: a picture with fewer has not the size of the hint. Some models make 2880x2880 or 3840x2160 for 4K.
- `GPT_IMAGE_SIZES`: the models of gpt-image make three fixed sizes, chosen by the ratio; a hint says nothing to them.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from contract.aspect_ratio import nearest_to, proportion

MIN_SIDE, MAX_SIDE = 64, 4096  # of explicit pixels
_EXPLICIT_SIZE = re.compile(r"([1-9][0-9]{1,4})x([1-9][0-9]{1,4})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeHint:
    """A size that is no exact number of pixels."""

    name: str
    side: int
    most_pixels: int | None  # of a client's size that means this hint; None: no client means it
    least_pixels: int  # of a picture that has this size


HINTS = (
    SizeHint(name="512", side=512, most_pixels=None, least_pixels=130_000),
    SizeHint(name="1K", side=1024, most_pixels=2_000_000, least_pixels=500_000),
    SizeHint(name="2K", side=2048, most_pixels=6_000_000, least_pixels=2_000_001),
    SizeHint(name="4K", side=4096, most_pixels=99_999**2, least_pixels=6_000_001),  # at most whatever can be spelt
)
SIZES = tuple(hint.name for hint in HINTS)
ALIASES = {"0.5K": "512"}  # as some models' documentation spells it

SQUARE, TALL, WIDE = "1024x1024", "1024x1536", "1536x1024"
GPT_IMAGE_SIZES = {"1:1": SQUARE, "2:3": TALL, "3:2": WIDE}
GPT_IMAGE_MOST_PIXELS = 1536 * 1024  # of the largest of them


def explicit_size(image_size: str) -> tuple[int, int] | None:
    """Read WIDTHxHEIGHT in pixels, or None for a size hint such as 2K."""
    match = _EXPLICIT_SIZE.fullmatch(image_size)
    return (int(match[1]), int(match[2])) if match else None


def hint_of(width: int, height: int) -> str:
    """Name the hint that a client of OpenAI's API means by some pixels."""
    return next(hint.name for hint in HINTS if hint.most_pixels is not None and width * height <= hint.most_pixels)


def hint_of_picture(width: int, height: int) -> str | None:
    """Name the hint whose size a picture has; None if it is smaller than all of them."""
    return next((hint.name for hint in reversed(HINTS) if width * height >= hint.least_pixels), None)


def nearest_hint(image_size: str, hints: tuple[str, ...]) -> str:
    """Say a size in some hints: explicit pixels as they are meant, another hint as the nearest one; `auto` stays."""
    sides = explicit_size(image_size)
    meant = hint_of(*sides) if sides else image_size
    if meant in hints or meant not in SIZES or not hints:
        return meant
    return min(hints, key=lambda hint: abs(math.log(side_of(hint) / side_of(meant))))


def smaller_hint(image_size: str, hints: tuple[str, ...]) -> str | None:
    """Name the next smaller of some hints than the one that says a size."""
    own = nearest_hint(image_size, hints)
    below = [hint for hint in hints if own in hints and side_of(hint) < side_of(own)]
    return max(below, key=side_of, default=None)


def side_of(name: str) -> int:
    """Tell the side of a hint."""
    return next(hint.side for hint in HINTS if hint.name == name)


def gpt_image_size(ratio: str) -> str:
    """Name the size of gpt-image that is nearest to a ratio."""
    return ratio if ratio == "auto" else GPT_IMAGE_SIZES[nearest_to(proportion(ratio), GPT_IMAGE_SIZES)]
