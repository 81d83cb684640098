"""The table of image providers: all that is known of one but how its requests and answers are written.

A new provider is a row here and an adapter in worker/providers/. Configuration checks, error sentences, the command
line, the first and the demo configuration, estimates of costs and docs/reference/providers.md read this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from contract.aspect_ratio import RATIOS
from contract.image_size import SQUARE, TALL, WIDE

# Google's documentation, read on 2026-11-22.
_GEMINI = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
_GEMINI_31 = (*_GEMINI, "1:4", "4:1", "1:8", "8:1")

Prices = float | Mapping[tuple[str, str], float]  # USD for one image: always the same, or by quality and pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSpec:
    """What is known of a provider."""

    name: str  # as in config.json under `providers`
    title: str  # as people write it
    api_base: str  # where `apiBase` names nothing else
    timeout_s: float  # how long one call may take, where nothing else is configured
    model: str  # of the first configuration
    needs_key: bool = True
    size_hints: tuple[str, ...] = ()  # the hints it obeys, smallest first
    ratios: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of models that refuse others, by their begin
    qualities: tuple[str, ...] = ()  # the values of `quality` it is known to obey
    fast_quality: str | None = None  # one that is cheaper than its default
    extra_body: Mapping[str, str] = field(default_factory=dict)  # of the first configuration
    prices: Mapping[str, Prices] = field(default_factory=dict)  # by model, without its vendor

    @property
    def key_variable(self) -> str:
        """Name the environment variable that examples take the key from."""
        return f"{self.name.upper()}_API_KEY"

    def ratios_of(self, model: str) -> tuple[str, ...]:
        """List the ratios that a model is not known to refuse."""
        return next((ratios for begin, ratios in self.ratios.items() if model.startswith(begin)), RATIOS)


OPENROUTER = ProviderSpec(
    name="openrouter",
    title="OpenRouter",
    api_base="https://openrouter.ai/api/v1",
    timeout_s=120.0,
    model="openai/gpt-5.4-image-2",
    size_hints=("1K", "2K", "4K"),
    ratios={
        "google/gemini-3.1-flash": _GEMINI_31,
        "google/gemini-nano-banana": _GEMINI_31,
        "google/gemini-": _GEMINI,
    },
)

AIHUBMIX = ProviderSpec(
    name="aihubmix",
    title="AIHubMix",
    api_base="https://aihubmix.com/v1",
    timeout_s=300.0,
    model="gpt-image-2-free",
    qualities=("low", "medium", "high"),
    fast_quality="low",
    extra_body={"quality": "low"},  # makes free models faster
    # Its own page docs.aihubmix.com/en/api/GPT-Image-1, read on 2026-11-22.
    prices={
        "gpt-image-2-free": 0.0,
        "gpt-image-1": {
            **{("low", SQUARE): 0.011, ("low", TALL): 0.016, ("low", WIDE): 0.016},
            **{("medium", SQUARE): 0.042, ("medium", TALL): 0.063, ("medium", WIDE): 0.063},
            **{("high", SQUARE): 0.167, ("high", TALL): 0.25, ("high", WIDE): 0.25},
        },
    },
)

DEFAULT = OPENROUTER  # what nanobot asks where nothing is configured
SPECS: Mapping[str, ProviderSpec] = {spec.name: spec for spec in (OPENROUTER, AIHUBMIX)}
LONGEST_TIMEOUT_S = max(spec.timeout_s for spec in SPECS.values())


def names() -> str:
    """List the providers in words, as in "openrouter or aihubmix"."""
    *first, last = SPECS
    return f"{', '.join(first)} or {last}"
