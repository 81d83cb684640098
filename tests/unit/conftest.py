"""Fixtures of the unit tests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from configured import Write
from hypothesis import settings

# `make fuzz` tries thousands of other cases.
settings.register_profile("unit", max_examples=30, deadline=None)
settings.load_profile("unit")


@pytest.fixture
def config(home: Path) -> Write:
    """Write ~/.nanobot/config.json, from a text as it is or from JSON."""

    def write(content: object) -> Path:
        path = home / ".nanobot" / "config.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
        return path

    return write
