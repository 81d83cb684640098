"""What was delivered, measured from a picture's pixels beside what was asked for."""

from __future__ import annotations

import pytest

from contract.jobs.measure import measure


@pytest.mark.parametrize(
    ("asked", "size", "ratio", "measured"),
    [
        ((1024, 1024), "1K", "1:1", ("1K", "1:1")),
        ((1344, 768), "1K", "16:9", ("1K", "16:9")),
        ((864, 1184), "1K", "3:4", ("1K", "3:4")),
        ((1536, 1024), "1K", "3:2", ("1K", "3:2")),  # as gpt-image makes it
        ((2880, 2880), "4K", "1:1", ("4K", "1:1")),
        ((3840, 2160), "4K", "16:9", ("4K", "16:9")),
        ((896, 1152), "1K", "3:4", ("1K", "3:4")),  # 4:5, which is near
        ((2048, 2048), "1K", "1:1", ("2K", "1:1")),  # larger than asked for, and said
        ((1024, 1024), "512", "1:1", ("1K", "1:1")),
        ((1248, 832), "1536x1024", "3:2", ("1536x1024", "3:2")),
        ((1024, 1024), "auto", "auto", ("1K", "1:1")),
        ((100, 60), "auto", "auto", ("100x60", "16:9")),
    ],
)
def test_a_picture_may_be_a_little_different(
    asked: tuple[int, int], size: str, ratio: str, measured: tuple[str, str]
) -> None:
    assert measure(*asked, image_size=size, aspect_ratio=ratio) == (*measured, False)


@pytest.mark.parametrize(
    ("asked", "size", "ratio", "measured"),
    [
        ((256, 256), "4K", "21:9", ("256x256", "1:1")),
        ((2048, 2048), "4K", "1:1", ("2K", "1:1")),
        ((1024, 1024), "2K", "1:1", ("1K", "1:1")),
        ((512, 512), "1K", "auto", ("512", "1:1")),
        ((4096, 4096), "1K", "1:1", ("4K", "1:1")),
        ((1024, 1024), "1K", "16:9", ("1K", "1:1")),
        ((1536, 1024), "1K", "16:9", ("1K", "3:2")),  # the widest that gpt-image makes
        ((1344, 768), "auto", "9:16", ("1K", "16:9")),
        ((600, 400), "1536x1024", "3:2", ("600x400", "3:2")),
        ((1024, 1024), "256x256", "1:1", ("1024x1024", "1:1")),
    ],
)
def test_what_is_far_from_the_request_in_size_or_ratio_is_told(
    asked: tuple[int, int], size: str, ratio: str, measured: tuple[str, str]
) -> None:
    assert measure(*asked, image_size=size, aspect_ratio=ratio) == (*measured, True)
