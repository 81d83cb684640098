"""The janitor tidies the artifact store every hour, whatever goes wrong."""

from __future__ import annotations

import asyncio

import pytest

from contract.redis.client import open_redis
from contract.store.doorbell import Doorbell
from contract.store.worker_store import WorkerStore
from tests.support.artifacts.memory_store import MemoryArtifacts
from worker.artifacts import janitor
from worker.artifacts.janitor import Janitor
from worker.artifacts.orphans import Orphans

LIFE_S = 2 * 24 * 3600.0


class Nothing(Orphans):
    """Finds nothing to take back, or a bug."""

    def __init__(self, *, is_broken: bool) -> None:
        self._is_broken = is_broken

    async def finish_deletions(self) -> None:
        if self._is_broken:
            raise ValueError

    async def take_back(self) -> None:
        pass


@pytest.mark.parametrize("case", ["good", "broken", "away"])
async def test_it_tidies_at_the_start_and_then_every_hour(
    case: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(janitor, "AGAIN_S" if case == "away" else "TIDY_S", 0.01)
    artifacts = MemoryArtifacts()
    store = WorkerStore(open_redis("redis://127.0.0.1:1/0"), Doorbell())  # it is away: what looks for orphans fails
    orphans = Orphans(store, artifacts) if case == "away" else Nothing(is_broken=case == "broken")
    keeping = asyncio.create_task(Janitor(artifacts, snapshot_age_s=LIFE_S, orphans=orphans).keep())
    async with asyncio.timeout(5):
        for _ in range(2):
            sha256 = await artifacts.put_reference(b"a reference")
            artifacts.pass_time(LIFE_S + 60)
            while sha256 in artifacts.references:
                await asyncio.sleep(0.005)
    assert ("cannot tidy" in caplog.text) is (case == "broken")
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping
