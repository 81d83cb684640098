"""A first config.json, written where there is none: the examples of README's "Use a real key"."""

from __future__ import annotations

import json
import os
from enum import StrEnum
from pathlib import Path

from contract.provider_specs import DEFAULT, SPECS, ProviderSpec

ProviderName = StrEnum("ProviderName", {name: name for name in SPECS})  # type: ignore[misc]  # what typer offers
DEFAULT_NAME = ProviderName(DEFAULT.name)


def first_config(provider: ProviderSpec) -> dict[str, object]:
    """Compose a configuration that needs only the key in the environment."""
    key = {"apiKey": f"${{{provider.key_variable}}}"} if provider.needs_key else {}
    extra = {"extraBody": dict(provider.extra_body)} if provider.extra_body else {}
    return {
        "providers": {provider.name: {**key, **extra}},
        "tools": {
            "imageGeneration": {
                "enabled": True,
                "provider": provider.name,
                "model": provider.model,
                "defaultAspectRatio": "1:1",
                "defaultImageSize": "1K",
            }
        },
    }


def write_first_config(path: Path, provider: ProviderSpec) -> None:
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
