"""Aspect ratios: which may be asked for, which one some pixels have, and when pixels are of another shape.

Two tolerances stand side by side. Who names pixels and a ratio can make them agree, so `SAME_SHAPE` is strict. Models
make what they can, so `NEAR_SHAPE` is what a picture may differ by before people are told.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

RATIOS = (
    *("auto", "1:1", "3:4", "9:16", "4:3", "16:9", "2:3", "3:2", "4:5", "5:4", "21:9", "9:21"),
    *("1:2", "2:1", "1:4", "4:1", "1:8", "8:1", "9:19.5", "19.5:9", "9:20", "20:9"),
)
SAME_SHAPE = 0.05  # by so much ratios may differ where both were named; the tables of models differ by 3 %
NEAR_SHAPE = 0.10  # by so much a picture may differ from its ratio: 5:4 is near 4:3, and 3:2 is not


def proportion(ratio: str) -> float:
    """Tell how many times wider than high a ratio is."""
    across, _, up = ratio.partition(":")
    return float(across) / float(up)


def nearest_ratio(width: int, height: int, among: Iterable[str] = RATIOS) -> str:
    """Find the ratio that is nearest to that of some pixels."""
    return nearest_to(width / height, among)


def nearest_to(across: float, among: Iterable[str]) -> str:
    """Find the ratio that is nearest to a proportion."""
    return min(
        (ratio for ratio in among if ratio != "auto"), key=lambda ratio: abs(math.log(across / proportion(ratio)))
    )


def contradicts(ratio: str, width: int, height: int, *, by: float = SAME_SHAPE) -> bool:
    """Tell whether some pixels are of another shape than a ratio."""
    return ratio != "auto" and abs(width / height / proportion(ratio) - 1) > by
