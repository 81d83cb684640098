"""Fixtures of the simulator's own tests."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator

import httpx
import pytest
from simulator.providers.calls import KEY
from simulator.server.server import Simulator


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    """A simulator that answers at once."""
    async with Simulator(seconds=0) as simulator:
        yield simulator


@pytest.fixture
async def client(sim: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    """A client that speaks to it as a provider's client does."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loading certificates takes 40 ms a client
    async with httpx.AsyncClient(base_url=sim.url, headers=KEY, timeout=5, trust_env=False, verify=tls) as http:
        yield http
