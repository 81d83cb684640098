"""Writing configurations for tests, and reading what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contract.errors.exceptions import ConfigInvalid
from contract.settings.environment import Environment
from contract.settings.loader import Settings, load_settings
from contract.settings.nanobot_config import ImageGeneration, ProviderConfig

SECRET = "sk-very-secret-0123456789"

Write = Callable[[object], Path]


def with_image(**options: object) -> dict[str, Any]:
    """Make a configuration that is good but for these options."""
    return {"providers": {"openrouter": {"apiKey": SECRET}}, "tools": {"imageGeneration": options}}


def with_provider(**options: object) -> dict[str, Any]:
    return {"providers": {"openrouter": {"apiKey": SECRET, **options}}}


def some_settings(
    folder: Path = Path("/nowhere"),
    *,
    image: dict[str, Any] | None = None,
    providers: dict[str, ProviderConfig] | None = None,
    **env: Any,
) -> Settings:
    """Make settings that no file was read for; `env` are fields of the environment."""
    return Settings(
        config_path=folder / "config.json",
        image=ImageGeneration(**image or {}),
        providers=providers or {},
        workspace=folder,
        env=Environment(**env),
    )


def problems() -> dict[str, str]:
    """Load the configuration, which must be refused, and answer its problems by path."""
    with pytest.raises(ConfigInvalid) as caught:
        load_settings()
    assert SECRET not in str(caught.value)
    found = {problem.path: problem.message for problem in caught.value.problems}
    assert all(f"{path}: {message}" in caught.value.detail for path, message in found.items())
    return found
