"""Each script loses its answer, once and twice, and nobody is worse off for it: what is in Redis is as without loss."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tenacity import wait_none

from producer.chat import late_delivery
from tests.support.model.table import JobTable
from tests.support.network.lossy_redis import MODES, Mode, script_names
from tests.support.stack.redis_server import RealRedis
from tests.support.store.lost_answers import SCENARIOS, Scenario
from tests.support.store.world import lossy_world
from worker.policy import backoff

pytestmark = pytest.mark.real_redis

CASES = [pytest.param(name, scenario, id=scenario.__name__) for name, them in SCENARIOS.items() for scenario in them]
ONCE = {"upkeep/ring_doorbell"}  # nobody repeats these: another one does their work


@pytest.fixture(scope="module")
def table(redis_server: RealRedis) -> Iterator[JobTable]:
    """A table whose time stands still."""
    with JobTable(redis_server) as table:
        yield table


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "wait_random", lambda *_: wait_none())
    monkeypatch.setattr(late_delivery, "TRY_AGAIN_S", 0)


def played(table: JobTable, name: str, scenario: Scenario, mode: Mode | None, times: int) -> tuple[object, Any, int]:
    """Play a scenario; tell what its caller came to know, what is in Redis, and how many answers were lost."""
    table.clear()

    async def play() -> tuple[object, Any, int]:
        async with lossy_world(table) as world:
            if mode:
                world.lossy.lose(name, mode, times=times)
            answer = await scenario(world)
            return answer, await world.settled(table.looked), world.lossy.lost[name]

    return table.run(play())


def test_every_script_has_a_scenario() -> None:
    assert set(SCENARIOS) == set(script_names())


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("name", "scenario"), CASES)
def test_a_lost_answer_changes_nothing(table: JobTable, name: str, scenario: Scenario, mode: Mode, times: int) -> None:
    wanted, there, _ = played(table, name, scenario, None, 0)
    answer, found, lost = played(table, name, scenario, mode, times)
    assert lost == times or (name in ONCE and lost == 1)
    assert found == there
    assert answer == wanted
