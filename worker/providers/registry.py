"""The adapters of all providers, in the order of the table in contract/provider_specs.py."""

from __future__ import annotations

from worker.providers.aihubmix import AIHUBMIX
from worker.providers.openrouter import OPENROUTER
from worker.providers.provider import Provider

PROVIDERS: dict[str, Provider] = {provider.name: provider for provider in (OPENROUTER, AIHUBMIX)}
