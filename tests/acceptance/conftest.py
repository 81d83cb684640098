"""The fixture of whole jobs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from house import House
from real_redis import RealRedis
from simulator.server import Simulator


@pytest.fixture
async def house(tmp_path: Path, own_redis: RealRedis) -> AsyncIterator[House]:
    """A Darkroom whose simulator answers in 0.05 s; no worker runs yet."""
    async with Simulator(seconds=0.05) as simulator:
        house = House(tmp_path, own_redis, simulator)
        try:
            yield house
        finally:
            house.stop()
