"""Fixtures of the unit tests."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.support.factories.configs import Write

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


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The children that were started, oldest first."""
    started: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def note(*args: Any, **kwargs: Any) -> subprocess.Popen[bytes]:
        started.append(start(*args, **kwargs))
        return started[-1]

    monkeypatch.setattr("contract.untrusted.sandbox_process.subprocess.Popen", note)
    yield started
    for process in started:
        process.kill()
        process.wait()
