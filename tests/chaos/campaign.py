"""The campaigns: a short one for every commit, longer ones for the record, and one without Darkroom."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tests.chaos.arena.arena import Arena, Struck
from tests.chaos.arena.crew import Life
from tests.chaos.arena.orders import make_orders
from tests.chaos.arena.storm import Forecast, Kind, draw
from tests.chaos.plain_celery.contrast import Contrast
from tests.chaos.verdict.checker import judge
from tests.chaos.verdict.result import Result
from tests.chaos.verdict.timing import measure, p99

SETTLE_S = 120.0
KNOBS = {
    "DARKROOM_CONCURRENCY": "6",
    "DARKROOM_RETRY_SECONDS": "0.2",
    "DARKROOM_ATTEMPT_TIMEOUT_SECONDS": "6",
    "DARKROOM_BREAKER_SECONDS": "2",
    "DARKROOM_DRAIN_SECONDS": "0.5",
}
SHORT: Mapping[Kind, int] = {
    "kill_worker": 14,
    "kill_main": 3,
    "kill_reader": 4,
    "failpoint": 11,
    "freeze_at_failpoint": 1,
    "stop_worker": 4,
    "freeze_worker": 1,
    "part_worker": 1,
    "kill_redis": 6,
    "freeze_redis": 1,
    "drop_redis_clients": 2,
    "flush_scripts": 2,
    "lose_answers": 7,
    "kill_gateway": 5,
    "reset_provider": 2,
    "part_provider": 1,
    "slow_provider": 2,
}
FULL: Mapping[Kind, int] = {
    "kill_worker": 50,
    "kill_main": 12,
    "kill_reader": 15,
    "failpoint": 44,
    "freeze_at_failpoint": 11,
    "stop_worker": 20,
    "freeze_worker": 10,
    "part_worker": 8,
    "kill_redis": 22,
    "freeze_redis": 4,
    "drop_redis_clients": 6,
    "flush_scripts": 6,
    "lose_answers": 24,
    "kill_gateway": 12,
    "reset_provider": 10,
    "part_provider": 5,
    "slow_provider": 8,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """How many jobs, which storm, and over what."""

    name: str
    jobs: int
    seconds: float
    counts: Mapping[Kind, int]
    freeze_s: float = 25.0  # longer than a lease and a sweeper's patience
    arena: type[Arena] = Arena

    @property
    def forecast(self) -> Forecast:
        """The storm, with three workers in it."""
        return Forecast(seconds=self.seconds, workers=3, counts=self.counts, freeze_s=self.freeze_s)


CAMPAIGNS = {
    campaign.name: campaign
    for campaign in (
        Campaign(name="short", jobs=700, seconds=85, counts=SHORT),
        Campaign(name="full", jobs=3000, seconds=660, counts=FULL, freeze_s=60),
        # Without troubles of Redis first, so that they do not blur how long a worker's jobs wait.
        Campaign(name="recovery", jobs=600, seconds=150, counts={"kill_worker": 25, "kill_main": 5, "stop_worker": 20}),
        Campaign(name="outages", jobs=600, seconds=120, counts={"kill_redis": 10}),
        Campaign(name="control", jobs=700, seconds=85, counts={"kill_worker": 28, "kill_redis": 6}, arena=Contrast),
    )
}


async def run(campaign: Campaign, seed: int, folder: Path, say: Callable[[str], None]) -> Result:
    """Run a campaign in an empty folder."""
    began = time.monotonic()
    forecast = campaign.forecast
    arena = campaign.arena(folder=folder, seed=seed, workers=forecast.workers, knobs=KNOBS, say=say)
    orders = make_orders(seed, campaign.jobs, over_s=forecast.seconds)
    if campaign.arena is Contrast:  # it can neither cancel nor tell a refusal
        orders = [replace(order, is_refused=False, cancel_after=None, is_hasty=False) for order in orders]
    async with arena.open(orders):
        await arena.endure(draw(seed, forecast))
        say(f"the storm is over after {time.monotonic() - began:.0f} s; waiting for the last jobs")
        has_settled = await arena.settle(within_s=SETTLE_S)
        over = time.time()
        evidence = await arena.gather()
    lives = [life for member in arena.crew if member.name != "gateway" for life in member.lives]
    past: dict[str, Sequence[Struck | Life]] = {"storm": arena.struck, "lives": lives}
    (folder / "past.json").write_text(
        json.dumps({name: [asdict(each) for each in them] for name, them in past.items()})
    )
    ended = [life for life in lives if life.ended < over]
    took: dict[str, list[float]] = {"acknowledged": [0.0], "cancelled": [0.0]}
    for entry in evidence.entries:
        took.setdefault(entry.kind, []).append(entry.seconds)
    return Result(
        campaign=campaign.name,
        is_control=campaign.arena is Contrast,
        seed=seed,
        seconds=time.monotonic() - began,
        has_settled=has_settled,
        verdict=judge(evidence),
        recoveries=measure(evidence.found, arena.struck, lives),
        faults=Counter(struck.gust.kind for struck in arena.struck),
        lost_answers=arena.lossy.lost,
        deaths=Counter(life.code for life in ended),
        looks=arena.witness.looks,
        submit_p99_s=p99(took["acknowledged"]),
        cancel_p99_s=p99(took["cancelled"]),
    )
