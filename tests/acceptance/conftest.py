"""The fixture of whole jobs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import pytest_asyncio
from bad_input.front import Front, open_front
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


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def front() -> AsyncIterator[Front]:
    """The gateway that gets all the bad input."""
    with TemporaryDirectory(prefix="dr-") as folder:
        redis = RealRedis(Path(folder))
        redis.start()
        try:
            async with open_front(Path(folder), redis) as front:
                yield front
        finally:
            redis.kill()
