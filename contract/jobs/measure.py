"""What was delivered, measured from a picture's pixels beside what its call asked for; pure.

| asked for | is near |
|---|---|
| 512, 1K, 2K, 4K | a picture of that size or of the next larger one, by `least_pixels` |
| pixels | 0.45 to 4.5 times as many: the hints that providers take lie so far apart |
| a ratio | one that differs by at most `NEAR_SHAPE` |
| `auto` | everything |
"""

from __future__ import annotations

from typing import NamedTuple

from contract.aspect_ratio import NEAR_SHAPE, contradicts, nearest_ratio
from contract.image_size import SIZES, explicit_size, hint_of_picture
from contract.jobs import wording
from contract.jobs.job import Attempt, Rendition

NEAR_PIXELS = (0.45, 4.5)


class Measured(NamedTuple):
    """A picture in the words of a request: the asked ones where it is near them, else its own."""

    image_size: str
    aspect_ratio: str
    is_far: bool


def measure(width: int, height: int, *, image_size: str, aspect_ratio: str) -> Measured:
    """Compare a picture with the size and the ratio that were asked for."""
    size, has_near_size = _size(width, height, image_size)
    has_near_ratio = not contradicts(aspect_ratio, width, height, by=NEAR_SHAPE)
    is_named = has_near_ratio and aspect_ratio != "auto"
    ratio = aspect_ratio if is_named else nearest_ratio(width, height)
    return Measured(size, ratio, is_far=not (has_near_size and has_near_ratio))


def delivery_of(attempt: Attempt, aspect_ratio: str, width: int, height: int) -> tuple[Rendition, str]:
    """Tell what a call has delivered, and in words how that is far from what it asked for, if it is."""
    found = measure(width, height, image_size=attempt.image_size, aspect_ratio=aspect_ratio)
    same = attempt.model_dump(include={"provider", "model", "quality"})
    delivered = Rendition(**same, image_size=found.image_size, aspect_ratio=found.aspect_ratio)
    return delivered, wording.unlike(attempt, width, height, aspect_ratio) if found.is_far else ""


def _size(width: int, height: int, asked: str) -> tuple[str, bool]:
    """Name the size of a picture, and tell whether it is near the one that was asked for."""
    if sides := explicit_size(asked):
        least, most = NEAR_PIXELS
        is_near = least <= width * height / (sides[0] * sides[1]) <= most
        return (asked if is_near else f"{width}x{height}"), is_near
    found = hint_of_picture(width, height)
    if found is None or asked not in SIZES:
        return found or f"{width}x{height}", asked not in SIZES
    return found, 0 <= SIZES.index(found) - SIZES.index(asked) <= 1
