"""Each script loses its answer, once and twice, and nobody is worse off for it: what is in Redis is as without loss."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from redis.asyncio.client import Pipeline
from redis.exceptions import ConnectionError as RedisConnectionError
from tenacity import wait_none

from contract.errors.exceptions import Unavailable
from contract.store.lease import CallRefused
from producer.chat import late_delivery
from producer.chat.outbox import ChatOutbox
from tests.support.factories.jobs import attempt, new_job
from tests.support.model.table import JobTable
from tests.support.stack.redis_server import RealRedis
from tests.support.store.lossy_redis import MODES, Mode, script_names
from tests.support.store.lost_answers import LETTER, SCENARIOS, Scenario
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


def test_a_call_that_was_counted_but_has_no_time_left_to_be_made_counts_no_more(table: JobTable) -> None:
    table.clear()
    job_id, _ = table.run(table.store.submit(new_job(run_time_s=10)))
    lease = table.run(table.store.claim(job_id, worker="w1", lease_s=60))
    assert lease is not None
    table.run(table.store.begin_attempt(lease, 0, attempt(), max_calls=9))  # its answer is lost
    table.move(10_000)
    with pytest.raises(CallRefused, match="deadline_passed"):
        table.run(table.store.begin_attempt(lease, 0, attempt(), max_calls=9))
    fields = table.look().fields(f"job:{job_id}")
    assert (fields["calls"], fields.get("attempt:0")) == ("0", None)


@pytest.mark.parametrize("past_ms", [2_000, 14_000])
def test_a_claim_that_is_repeated_lasts_from_then_on(table: JobTable, past_ms: int) -> None:
    table.clear()
    job_id, _ = table.run(table.store.submit(new_job()))
    for _ in range(2):
        lease = table.run(table.store.claim(job_id, worker="w1", lease_s=15, claim="same"))
        assert lease is not None
        assert lease.fence == 1
        assert table.look().scores("running") == {job_id: table.now_ms + 15_000}
        table.move(past_ms)


def test_a_letter_that_was_taken_longer_than_its_lease_ago_is_still_the_taker_s(table: JobTable) -> None:
    table.clear()
    job_id, _ = table.run(table.store.submit(new_job(chat_delivery=LETTER)))
    table.run(table.store.cancel(job_id))
    box = ChatOutbox(table.redis, "box")
    for _ in range(3):  # Redis is away for more than a lease, twice
        assert table.run(box.take(job_id, "same"))
        table.move(70_000)
    assert table.run(box.take(job_id, "another"))  # so none was sent unseen


def test_a_letter_that_another_one_has_taken_meanwhile_is_not_put_back(table: JobTable) -> None:
    table.clear()
    job_id, _ = table.run(table.store.submit(new_job(chat_delivery=LETTER)))
    table.run(table.store.cancel(job_id))
    box = ChatOutbox(table.redis, "box")
    assert table.run(box.take(job_id, "first"))
    table.move(70_000)
    assert table.run(box.take(job_id, "second"))
    table.run(box.put_back(job_id, "first", wait_s=5))
    assert table.look().scores("mail:box") == {job_id: table.now_ms + 60_000}


def test_notes_whose_removal_is_not_answered_are_told_again_not_lost(table: JobTable) -> None:
    table.clear()
    box = ChatOutbox(table.redis, "box")
    job_id, _ = table.run(table.store.submit(new_job(chat_delivery=LETTER)))
    table.run(box.close(job_id, session="chat", note="said"))

    async def lose(*_: object) -> None:
        raise RedisConnectionError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pipeline, "execute", lose)
        with pytest.raises(Unavailable):
            table.run(box.notes("chat"))
    assert table.run(box.notes("chat")) == ["said"]
    assert table.run(box.notes("chat")) == []
