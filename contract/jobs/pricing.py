"""What an image costs where the provider does not say: a small price list, of 2026-11-22.

Source: AIHubMix's own page docs.aihubmix.com/en/api/GPT-Image-1, USD per image. What is not on it is
not guessed.
"""

from __future__ import annotations

MOST_USD = 100.0  # for one call; a provider that tells more is not believed

_GPT_IMAGE_1 = {
    "low": {"1024x1024": 0.011, "1024x1536": 0.016, "1536x1024": 0.016},
    "medium": {"1024x1024": 0.042, "1024x1536": 0.063, "1536x1024": 0.063},
    "high": {"1024x1024": 0.167, "1024x1536": 0.25, "1536x1024": 0.25},
}
_FREE = frozenset({"gpt-image-2-free"})


def estimate(provider: str, model: str, image_size: str, quality: str | None) -> float | None:
    """Tell the price in USD of one image of WIDTHxHEIGHT pixels, or None where it is not known."""
    if provider != "aihubmix":
        return None
    name = model.rpartition("/")[2]
    if name in _FREE:
        return 0.0
    return _GPT_IMAGE_1.get(quality or "", {}).get(image_size) if name == "gpt-image-1" else None
