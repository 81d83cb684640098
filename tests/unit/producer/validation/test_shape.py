"""Which ratio and size a request has where its caller left one of them open."""

from __future__ import annotations

import pytest

from contract.jobs.job import ReferenceSnapshot
from contract.jobs.request import JobRequest
from contract.settings.loader import Settings
from producer.validation.request import read_request
from producer.validation.shape import shaped
from tests.support.factories.configs import some_settings

WIDE, TALL, PHONE, UNKNOWN = (1600, 900), (864, 1184), (1170, 2532), (None, None)


def settings(ratio: str = "1:1", size: str = "1K", model: str = "a/b") -> Settings:
    return some_settings(image={"default_aspect_ratio": ratio, "default_image_size": size, "model": model})


def snapshot(width: int | None, height: int | None) -> ReferenceSnapshot:
    return ReferenceSnapshot(source="x", sha256="0" * 64, mime="image/png", bytes=1, width=width, height=height)


def of(
    *references: tuple[int | None, int | None], by: Settings | None = None, fields: dict[str, object] | None = None
) -> tuple[str, str, JobRequest]:
    by = by or settings()
    sent = {"prompt": "warmer", **(fields or {})}
    request = shaped(read_request(sent, by), sent, [snapshot(*size) for size in references], by)
    return request.aspect_ratio, request.image_size, request


@pytest.mark.parametrize(
    ("references", "fields", "shape"),
    [
        ([], {}, ("1:1", "1K")),
        ([WIDE], {}, ("16:9", "1K")),
        ([TALL], {"aspect_ratio": None}, ("3:4", "1K")),
        ([WIDE, TALL], {}, ("16:9", "1K")),
        ([PHONE], {}, ("9:19.5", "1K")),
        ([WIDE], {"aspect_ratio": "1:1"}, ("1:1", "1K")),
        ([WIDE], {"aspect_ratio": "auto"}, ("16:9", "1K")),
        ([WIDE], {"image_size": "2K"}, ("16:9", "2K")),
        ([WIDE], {"image_size": "1024x1536"}, ("2:3", "1024x1536")),
        ([UNKNOWN, WIDE], {}, ("1:1", "1K")),
        ([], {"aspect_ratio": "auto"}, ("auto", "1K")),
        ([], {"image_size": "1536x1024"}, ("3:2", "1536x1024")),
        ([], {"image_size": "1536x1024", "aspect_ratio": "auto"}, ("3:2", "1536x1024")),
        ([], {"image_size": "1344x768", "aspect_ratio": "16:9"}, ("16:9", "1344x768")),
    ],
)
def test_what_was_named_goes_before_the_first_reference_and_that_before_the_configuration(
    references: list[tuple[int | None, int | None]], fields: dict[str, object], shape: tuple[str, str]
) -> None:
    assert of(*references, fields=fields)[:2] == shape


@pytest.mark.parametrize(
    ("references", "fields", "shape"),
    [
        ([], {}, ("3:2", "1536x1024")),
        ([], {"aspect_ratio": "3:2"}, ("3:2", "1536x1024")),
        ([], {"aspect_ratio": "9:16"}, ("9:16", "1K")),
        ([WIDE], {}, ("16:9", "1K")),
        ([(1500, 1000)], {}, ("3:2", "1536x1024")),
        ([], {"aspect_ratio": "auto"}, ("auto", "1536x1024")),
    ],
)
def test_configured_pixels_give_way_to_a_ratio_that_they_do_not_have(
    references: list[tuple[int | None, int | None]], fields: dict[str, object], shape: tuple[str, str]
) -> None:
    assert of(*references, by=settings(size="1536x1024"), fields=fields)[:2] == shape


@pytest.mark.parametrize(
    ("model", "size", "ratio"),
    [
        ("google/gemini-3-pro-image", PHONE, "9:16"),
        ("google/gemini-3.1-flash-image", PHONE, "9:16"),
        ("google/gemini-3.1-flash-image", (300, 1200), "1:4"),
        ("google/gemini-2.5-flash-image", (300, 1200), "9:16"),
        ("openai/gpt-5.4-image-2", (300, 1200), "1:4"),
    ],
)
def test_a_reference_gives_a_ratio_that_the_model_does_not_refuse(
    model: str, size: tuple[int, int], ratio: str
) -> None:
    assert of(size, by=settings(model=model))[0] == ratio


def test_nothing_else_of_a_request_changes() -> None:
    *_, request = of(WIDE, fields={"count": 2, "quality": "low"})
    assert request == JobRequest(prompt="warmer", count=2, quality="low", aspect_ratio="16:9", image_size="1K")
