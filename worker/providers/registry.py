"""The providers by the name that config.json calls them."""

from __future__ import annotations

from worker.providers.aihubmix import AIHUBMIX
from worker.providers.openrouter import OPENROUTER
from worker.providers.provider import Provider

PROVIDERS: dict[str, Provider] = {provider.name: provider for provider in (OPENROUTER, AIHUBMIX)}
