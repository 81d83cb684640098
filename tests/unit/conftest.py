"""Fixtures of the unit tests."""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import settings
from simulator.providers.calls import KEY
from simulator.server.server import Simulator

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
async def sim() -> AsyncIterator[Simulator]:
    """A simulator of this test's own."""
    async with Simulator(seconds=0.02) as simulator:
        yield simulator


@pytest.fixture
async def client(sim: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    """A client that speaks to it as a provider's client does."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loading certificates takes 40 ms a client
    async with httpx.AsyncClient(base_url=sim.url, headers=KEY, timeout=5, trust_env=False, verify=tls) as http:
        yield http


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
