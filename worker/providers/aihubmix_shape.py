"""Ratio and size in the words of AIHubMix's vendors: each of its models takes what the vendor's own API takes.

| models | words | from |
|---|---|---|
| Seedream | `size`: a hint, or pixels, as a hint leaves the ratio to the model | Volcengine Ark |
| FLUX, Ideogram | `aspect_ratio`: 16:9, and 16x9 | AIHubMix's own MCP server |
| gpt-image and all others | `size`: pixels, else the nearest of three | AIHubMix, nanobot |
"""

from __future__ import annotations

import math

from contract.aspect_ratio import nearest_ratio, proportion
from contract.image_size import explicit_size, gpt_image_size, nearest_hint, side_of

Shape = dict[str, str]

SEEDREAM = "seedream"
OLD_SEEDREAM = "seedream-3"  # takes no hints
SEEDREAM_HINTS = {OLD_SEEDREAM: ("1K",), "seedream-4-0": ("1K", "2K", "4K"), "seedream-4.0": ("1K", "2K", "4K")}
NEWER_SEEDREAM_HINTS = ("2K", "4K")  # since 4.5 it makes no fewer pixels than 2560x1440
USUAL_HINT = "2K"  # of Seedream
MULTIPLE = 16  # of which sides in pixels are


def shape_of(path: str, aspect_ratio: str, image_size: str, *, is_edit: bool) -> Shape:
    """Say ratio and size as the model of a path (`<vendor>/<model>`) takes them."""
    sides = explicit_size(image_size)
    vendor, _, model = path.lower().rpartition("/")
    if vendor.startswith(("bfl", "ideogram")):
        return _ratio(nearest_ratio(*sides) if sides else aspect_ratio, ":" if vendor.startswith("bfl") else "x")
    if sides:
        return {"size": image_size}
    if SEEDREAM in model:
        return _seedream(model[model.index(SEEDREAM) :], aspect_ratio, image_size, is_edit=is_edit)
    return {"size": gpt_image_size(aspect_ratio)}


def pixels_of(hint: str, aspect_ratio: str) -> str:
    """Write the pixels of a ratio that are as many as those of a hint's square, or a few less."""
    most, across = side_of(hint) ** 2, proportion(aspect_ratio)
    height = _floor(math.sqrt(most / across))
    return f"{_floor(min(height * across + MULTIPLE / 2, most / height))}x{height}"


def _floor(side: float) -> int:
    return int(side) // MULTIPLE * MULTIPLE


def _ratio(aspect_ratio: str, between: str) -> Shape:
    return {} if aspect_ratio == "auto" else {"aspect_ratio": aspect_ratio.replace(":", between)}


def _seedream(model: str, aspect_ratio: str, image_size: str, *, is_edit: bool) -> Shape:
    hints = next((hints for begin, hints in SEEDREAM_HINTS.items() if model.startswith(begin)), NEWER_SEEDREAM_HINTS)
    hint = nearest_hint(USUAL_HINT if image_size == "auto" else image_size, hints)
    is_left_open = aspect_ratio == "auto" or (aspect_ratio == "1:1" and not is_edit)
    if is_left_open and not model.startswith(OLD_SEEDREAM):
        return {"size": hint}
    return {"size": pixels_of(hint, "1:1" if aspect_ratio == "auto" else aspect_ratio)}
