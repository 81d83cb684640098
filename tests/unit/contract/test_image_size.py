"""What 512, 1K, 2K and 4K mean to those who take hints, to OpenAI's clients, and to gpt-image."""

from __future__ import annotations

import pytest

from contract.image_size import (
    GPT_IMAGE_MOST_PIXELS,
    GPT_IMAGE_SIZES,
    SIZES,
    SQUARE,
    TALL,
    WIDE,
    explicit_size,
    hint_of,
    smaller_hint,
)
from contract.provider_specs import SPECS

HINTS = ("1K", "2K", "4K")


@pytest.mark.parametrize(
    ("width", "height", "hint"),
    [
        *((1, 1, "1K"), (512, 512, "1K"), (1536, 1024, "1K"), (2000, 1000, "1K")),
        *((2000, 1001, "2K"), (2048, 2048, "2K"), (3000, 2000, "2K")),
        *((3000, 2001, "4K"), (4096, 4096, "4K"), (99_999, 99_999, "4K")),
    ],
)
def test_pixels_of_openais_clients_mean_a_hint(width: int, height: int, hint: str) -> None:
    assert hint_of(width, height) == hint


@pytest.mark.parametrize(
    ("size", "hints", "smaller"),
    [
        *(("4K", HINTS, "2K"), ("2K", HINTS, "1K"), ("1K", HINTS, None), ("512", HINTS, None), ("auto", HINTS, None)),
        *(("1024x1024", HINTS, None), ("1025x64", HINTS, "1K"), ("2049x2049", HINTS, "2K"), ("4096x4096", HINTS, "2K")),
        *(("4097x64", HINTS, "4K"), ("4K", (), None), ("4096x4096", (), None), ("1K", SIZES, "512")),
    ],
)
def test_the_next_smaller_hint(size: str, hints: tuple[str, ...], smaller: str | None) -> None:
    assert smaller_hint(size, hints) == smaller


def test_the_three_sizes_of_gpt_image_are_all_that_prices_are_listed_by() -> None:
    assert set(GPT_IMAGE_SIZES.values()) == {SQUARE, TALL, WIDE}
    sides = [explicit_size(size) or (0, 0) for size in GPT_IMAGE_SIZES.values()]
    assert max(width * height for width, height in sides) == GPT_IMAGE_MOST_PIXELS
    prices = (price for spec in SPECS.values() for price in spec.prices.values() if not isinstance(price, float))
    assert {size for price in prices for _, size in price} == {SQUARE, TALL, WIDE}
