"""What a gateway logs of its surroundings: once when it begins, whenever that is, and once when Redis is back."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import pytest

from contract.redis.failure import FULL, SILENT, UNKNOWN
from contract.redis.requirements import Doubt, Weight
from producer.api.services.surroundings import SurroundingsWatch
from producer.health.queue import QueueHealth

WELL = QueueHealth(None, True)
AWAY, HANGS = QueueHealth(UNKNOWN, False), QueueHealth(SILENT, False)
LEAKY = QueueHealth(None, True, doubts=(Doubt("persistence", Weight.WARNS, "loses jobs", "Mend it."),))
TIGHT = [
    QueueHealth(None, True, doubts=(Doubt("memory", Weight.WARNS, f"uses {used} MB", "Raise it."),))
    for used in (90, 91)
]


@dataclass
class Ground:
    """The media directory and the secret, as a gateway sees them."""

    wrong: dict[str, tuple[int, str]] = field(default_factory=dict)

    async def problems(self, _: QueueHealth) -> dict[str, tuple[int, str]]:
        """List what is wrong."""
        return self.wrong


@pytest.fixture
def ground() -> Ground:
    return Ground()


@pytest.fixture
def lookout(ground: Ground, caplog: pytest.LogCaptureFixture) -> SurroundingsWatch:
    caplog.set_level(logging.INFO, "producer.api.services.surroundings")

    async def nothing() -> QueueHealth:
        raise AssertionError

    return SurroundingsWatch(ground, nothing)  # type: ignore[arg-type]


async def told(lookout: SurroundingsWatch, caplog: pytest.LogCaptureFixture, *pulses: QueueHealth) -> list[str]:
    """Show pulses one after another, and list what was logged."""
    caplog.clear()
    for queue_health in pulses:
        await lookout.take(queue_health)
    return [f"{record.levelname} {record.getMessage()}" for record in caplog.records]


async def test_where_all_is_well_nothing_is_said(lookout: SurroundingsWatch, caplog: pytest.LogCaptureFixture) -> None:
    assert await told(lookout, caplog, WELL, WELL) == []


async def test_a_redis_that_is_away_at_the_start_is_waited_for(
    lookout: SurroundingsWatch, caplog: pytest.LogCaptureFixture
) -> None:
    lines = await told(lookout, caplog, AWAY, AWAY, HANGS, HANGS, WELL, WELL)
    assert [line.split(".")[0] for line in lines] == [
        "WARNING waiting for Redis, which does not answer",
        "WARNING waiting for Redis, which does not answer in time",
        "INFO Redis is there",
    ]


async def test_a_redis_that_is_lost_later_and_comes_back_is_a_line_each(
    lookout: SurroundingsWatch, caplog: pytest.LogCaptureFixture
) -> None:
    lines = await told(lookout, caplog, WELL, AWAY, WELL, AWAY, AWAY, HANGS, AWAY, WELL, WELL)
    assert [line.split(".")[0] for line in lines] == [
        "WARNING Redis is away: it does not answer",
        "INFO Redis is back after 0 s",
    ]


async def test_what_is_wrong_is_told_when_it_begins_and_again_only_when_it_had_ended(
    lookout: SurroundingsWatch, ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    assert await told(lookout, caplog, LEAKY, LEAKY) == ["WARNING Redis loses jobs. Mend it."]
    ground.wrong = {"media": (logging.ERROR, "the media directory is not the workers'")}
    assert await told(lookout, caplog, LEAKY, LEAKY) == ["ERROR the media directory is not the workers'"]
    assert await told(lookout, caplog, LEAKY, AWAY, LEAKY) == []
    ground.wrong = {}
    assert await told(lookout, caplog, WELL, LEAKY) == ["WARNING Redis loses jobs. Mend it."]


async def test_a_number_that_changes_is_no_news(lookout: SurroundingsWatch, caplog: pytest.LogCaptureFixture) -> None:
    assert await told(lookout, caplog, *TIGHT) == ["WARNING Redis uses 90 MB. Raise it."]


async def test_a_redis_that_answers_no_is_told(lookout: SurroundingsWatch, caplog: pytest.LogCaptureFixture) -> None:
    [line] = await told(lookout, caplog, QueueHealth(FULL, True), QueueHealth(FULL, True))
    assert line.startswith("ERROR Redis has used all the memory")
