"""Which ratio some pixels have, and when they are of another shape than a ratio."""

from __future__ import annotations

import pytest

from contract.aspect_ratio import NEAR_SHAPE, RATIOS, contradicts, nearest_ratio, proportion

PHONE = (1170, 2532)  # pixels of a screenshot


@pytest.mark.parametrize("ratio", [ratio for ratio in RATIOS if ratio != "auto"])
def test_the_nearest_ratio_of_a_ratio_is_itself(ratio: str) -> None:
    width, height = round(1000 * proportion(ratio)), 1000
    assert nearest_ratio(width, height) == ratio


@pytest.mark.parametrize(
    ("size", "ratio"),
    [
        *(((1000, 1000), "1:1"), ((301, 100), "21:9"), ((100, 301), "9:21")),
        *(((864, 1184), "3:4"), ((1344, 768), "16:9"), ((1536, 672), "21:9"), (PHONE, "9:19.5"), ((1, 99_999), "1:8")),
    ],
)
def test_some_pixels_have_the_nearest_ratio(size: tuple[int, int], ratio: str) -> None:
    assert nearest_ratio(*size) == ratio


def test_the_nearest_ratio_is_one_of_those_that_there_are() -> None:
    assert nearest_ratio(*PHONE, ("1:1", "16:9", "9:16")) == "9:16"


@pytest.mark.parametrize(
    ("ratio", "width", "height", "is_other"),
    [
        ("auto", 64, 4096, False),
        *(("1:1", 1024, 1024, False), ("16:9", 1920, 1080, False), ("16:9", 1344, 768, False)),
        *(("3:4", 864, 1184, False), ("4:5", 896, 1152, False), ("21:9", 1536, 672, False)),  # as models make them
        *(("16:9", 1024, 1024, True), ("1:1", 1024, 1152, True), ("9:16", 1920, 1080, True), ("3:2", 1024, 768, True)),
    ],
)
def test_pixels_of_another_shape_than_a_ratio(ratio: str, width: int, height: int, is_other: bool) -> None:
    assert contradicts(ratio, width, height) is is_other


@pytest.mark.parametrize(
    ("ratio", "width", "height", "is_far"),
    [
        *(("5:4", 1024, 768, False), ("9:20", 1170, 2532, False), ("16:9", 1344, 768, False)),
        *(("4:3", 1536, 1024, True), ("16:9", 1536, 1024, True), ("2:1", 1920, 1080, True), ("21:9", 256, 256, True)),
    ],
)
def test_pictures_may_differ_a_little_more(ratio: str, width: int, height: int, is_far: bool) -> None:
    assert contradicts(ratio, width, height, by=NEAR_SHAPE) is is_far
