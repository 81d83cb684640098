"""A first config.json, written where there is none: the examples of README's "Use a real key"."""

from __future__ import annotations

import json
import os
from enum import StrEnum
from pathlib import Path


class Provider(StrEnum):
    """A provider that an example exists for."""

    OPENROUTER = "openrouter"
    AIHUBMIX = "aihubmix"


MODELS = {Provider.OPENROUTER: "openai/gpt-5.4-image-2", Provider.AIHUBMIX: "gpt-image-2-free"}
EXTRAS = {Provider.AIHUBMIX: {"extraBody": {"quality": "low"}}}  # makes free models faster


def key_variable(provider: Provider) -> str:
    """Name the environment variable that holds a provider's key."""
    return f"{provider.upper()}_API_KEY"


def first_config(provider: Provider) -> dict[str, object]:
    """Compose a configuration that needs only the key in the environment."""
    return {
        "providers": {str(provider): {"apiKey": f"${{{key_variable(provider)}}}", **EXTRAS.get(provider, {})}},
        "tools": {
            "imageGeneration": {
                "enabled": True,
                "provider": str(provider),
                "model": MODELS[provider],
                "defaultAspectRatio": "1:1",
                "defaultImageSize": "1K",
            }
        },
    }


def write_first_config(path: Path, provider: Provider) -> None:
    """Write it for its owner alone. Raises FileExistsError when something is there, which stays as it is."""
    if not path.parent.is_dir():
        _make_folder(path.parent)
    with open(path, "x", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(json.dumps(first_config(provider), indent=2) + "\n")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(error.errno, "its folder is a file") from error
