"""Which fault comes when: drawn from the seed before anything starts, so that a storm can be had again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Literal

Kind = Literal[
    "kill_worker",  # SIGKILL of the whole process group
    "kill_main",  # SIGKILL of the worker alone; its readers are left
    "kill_reader",
    "failpoint",  # the next life kills itself at a named place
    "freeze_at_failpoint",  # … or stops there, as a frozen machine, and comes back as a zombie
    "stop_worker",  # SIGTERM
    "freeze_worker",  # SIGSTOP, for longer than its lease
    "part_worker",  # its link to Redis holds everything back, for longer than its lease
    "kill_redis",
    "freeze_redis",
    "drop_redis_clients",
    "flush_scripts",
    "lose_answers",  # a worker and the gateway miss some of what Redis answers to scripts, which have run
    "kill_gateway",
    "reset_provider",  # all connections to the provider are reset
    "part_provider",
    "slow_provider",
]
FAILPOINTS = (
    *("after_pop", "after_claim", "before_call_count", "after_call_count", "after_response", "after_tmp_write"),
    *("after_image_link", "after_sidecar", "after_report", "after_commit_before_ack", "after_release"),
)
KILLS = frozenset({"kill_worker", "kill_main", "failpoint"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Gust:
    """One fault: when, which, which worker, and how long."""

    at: float  # seconds after the start
    kind: Kind
    worker: int = 0
    seconds: float = 0.0
    failpoint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """How much of what a storm brings."""

    seconds: float
    workers: int
    counts: Mapping[Kind, int]
    freeze_s: float  # longer than a lease and a sweeper's patience
    outage_s: tuple[float, float] = field(default=(0.3, 2.0))


def draw(seed: int, forecast: Forecast) -> list[Gust]:
    """Draw the gusts: those of a kind lie apart, in a time of their own each."""
    gusts = []
    for kind, count in sorted(forecast.counts.items()):
        dice = Random(f"storm {seed} {kind}")
        part = forecast.seconds / max(count, 1)
        gusts += [_gust(dice, kind, number, forecast, at=(number + dice.random()) * part) for number in range(count)]
    return sorted(gusts, key=lambda gust: gust.at)


def _gust(dice: Random, kind: Kind, number: int, forecast: Forecast, *, at: float) -> Gust:
    seconds = {
        "freeze_worker": forecast.freeze_s,
        "freeze_at_failpoint": forecast.freeze_s,
        "part_worker": forecast.freeze_s,
        "kill_redis": dice.uniform(*forecast.outage_s),
        "freeze_redis": 3.0,
        "lose_answers": 4.0,
        "part_provider": 4.0,
        "slow_provider": 5.0,
    }.get(kind, 0.0)
    name = ""
    if kind in ("failpoint", "freeze_at_failpoint"):
        # Each place has its turn, at its first to sixth time.
        name = (
            f"{FAILPOINTS[number % len(FAILPOINTS)]}:{dice.randint(1, 6)}:{'kill' if kind == 'failpoint' else 'stop'}"
        )
    return Gust(at=at, kind=kind, worker=dice.randrange(forecast.workers), seconds=seconds, failpoint=name)
