"""What an image costs where the provider does not say. What the table of providers does not list is not guessed."""

from __future__ import annotations

from contract.provider_specs import SPECS

MOST_USD = 100.0  # for one call; a provider that tells more is not believed


def estimate(provider: str, model: str, image_size: str, quality: str | None) -> float | None:
    """Tell the price in USD of one image of WIDTHxHEIGHT pixels, or None where it is not known."""
    prices = SPECS[provider].prices.get(model.rpartition("/")[2]) if provider in SPECS else None
    if prices is None or isinstance(prices, float):
        return prices
    return prices.get((quality or "", image_size))
