"""The price list: what it says, and that it says nothing else."""

import pytest

from contract.jobs.pricing import estimate

SQUARE, TALL, WIDE = "1024x1024", "1024x1536", "1536x1024"


@pytest.mark.parametrize(
    ("size", "quality", "usd"),
    [
        *((SQUARE, "low", 0.011), (SQUARE, "medium", 0.042), (SQUARE, "high", 0.167)),
        *((TALL, "low", 0.016), (TALL, "medium", 0.063), (TALL, "high", 0.25)),
        *((WIDE, "low", 0.016), (WIDE, "medium", 0.063), (WIDE, "high", 0.25)),
    ],
)
@pytest.mark.parametrize("model", ["gpt-image-1", "openai/gpt-image-1"])
def test_the_listed_prices_are_known(model: str, size: str, quality: str, usd: float) -> None:
    assert estimate("aihubmix", model, size, quality) == usd


@pytest.mark.parametrize("model", ["gpt-image-2-free", "openai/gpt-image-2-free"])
@pytest.mark.parametrize("quality", [None, "low"])
def test_the_free_model_costs_nothing_at_any_size(model: str, quality: str | None) -> None:
    assert estimate("aihubmix", model, "2K", quality) == 0


@pytest.mark.parametrize(
    ("provider", "model", "size", "quality"),
    [
        ("openrouter", "openai/gpt-image-1", SQUARE, "low"),
        ("aihubmix", "openai/gpt-image-1.5", SQUARE, "low"),
        ("aihubmix", "openai/gpt-image-1-mini", SQUARE, "low"),
        ("aihubmix", "google/imagen-4.0", SQUARE, "low"),
        ("aihubmix", "gpt-image-1", SQUARE, None),
        ("aihubmix", "gpt-image-1", SQUARE, "auto"),
        ("aihubmix", "gpt-image-1", "1K", "low"),
        ("aihubmix", "gpt-image-1", "2048x2048", "low"),
        ("aihubmix", "", "", ""),
    ],
)
def test_what_is_not_listed_is_not_guessed(provider: str, model: str, size: str, quality: str | None) -> None:
    assert estimate(provider, model, size, quality) is None
