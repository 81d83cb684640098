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
    gpt_image_size,
    hint_of,
    hint_of_picture,
    nearest_hint,
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
        *(("1024x1024", HINTS, None), ("1025x64", HINTS, None), ("2049x2049", HINTS, "1K"), ("4096x4096", HINTS, "2K")),
        *(("1536x1024", HINTS, None), ("4K", (), None), ("4096x4096", (), None), ("1K", SIZES, "512")),
    ],
)
def test_the_next_smaller_hint(size: str, hints: tuple[str, ...], smaller: str | None) -> None:
    assert smaller_hint(size, hints) == smaller


@pytest.mark.parametrize(
    ("size", "hints", "hint"),
    [
        *(("1K", HINTS, "1K"), ("512", HINTS, "1K"), ("512", SIZES, "512"), ("1K", ("2K", "4K"), "2K")),
        *(("1536x1024", HINTS, "1K"), ("3840x2160", HINTS, "4K"), ("64x64", HINTS, "1K"), ("1024x1024", ("2K",), "2K")),
        *(("auto", HINTS, "auto"), ("4K", (), "4K")),
    ],
)
def test_the_hint_that_is_nearest_to_a_size(size: str, hints: tuple[str, ...], hint: str) -> None:
    assert nearest_hint(size, hints) == hint


@pytest.mark.parametrize(
    ("width", "height", "hint"),
    [
        *((256, 256, None), (512, 512, "512"), (672, 384, "512"), (1024, 1024, "1K"), (1536, 672, "1K")),
        *((1536, 1024, "1K"), (1448, 1448, "2K"), (2688, 1536, "2K"), (3840, 2160, "4K"), (2880, 2880, "4K")),
    ],
)
def test_the_size_that_a_picture_has(width: int, height: int, hint: str | None) -> None:
    assert hint_of_picture(width, height) == hint


@pytest.mark.parametrize(
    ("ratio", "size"),
    [
        *(
            ("1:1", SQUARE),
            ("2:3", TALL),
            ("3:4", TALL),
            ("4:5", TALL),
            ("9:16", TALL),
            ("9:19.5", TALL),
            ("1:8", TALL),
        ),
        *(
            ("3:2", WIDE),
            ("4:3", WIDE),
            ("5:4", WIDE),
            ("16:9", WIDE),
            ("21:9", WIDE),
            ("20:9", WIDE),
            ("auto", "auto"),
        ),
    ],
)
def test_each_ratio_has_the_nearest_size_of_gpt_image(ratio: str, size: str) -> None:
    assert gpt_image_size(ratio) == size


def test_the_three_sizes_of_gpt_image_are_all_that_prices_are_listed_by() -> None:
    assert set(GPT_IMAGE_SIZES.values()) == {SQUARE, TALL, WIDE}
    sides = [explicit_size(size) or (0, 0) for size in GPT_IMAGE_SIZES.values()]
    assert max(width * height for width, height in sides) == GPT_IMAGE_MOST_PIXELS
    prices = (price for spec in SPECS.values() for price in spec.prices.values() if not isinstance(price, float))
    assert {size for price in prices for _, size in price} == {SQUARE, TALL, WIDE}
