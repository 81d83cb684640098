"""A campaign's result in lines that read well in a terminal and on a page."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from statistics import median

from tests.chaos.verdict.result import Result
from tests.chaos.verdict.timing import p99


def lines(result: Result) -> Iterator[str]:
    """Say what was thrown at Darkroom, and what was found."""
    verdict, times = result.verdict, result.recoveries
    kills = sum(count for code, count in result.deaths.items() if code == -9)
    yield f"{result.campaign} campaign, seed {result.seed}, {result.seconds:.0f} s"
    yield f"faults: {', '.join(f'{count} {kind}' for kind, count in sorted(result.faults.items()))}"
    if result.lost_answers:
        yield f"answers of Redis that were lost: {_by_script(result.lost_answers)}"
    yield f"workers that were killed: {kills}; stopped: {result.deaths[0]}; otherwise ended: {_others(result)}"
    yield f"attempted     {verdict.attempted}"
    yield f"acknowledged  {verdict.acknowledged}, recovered {verdict.recovered}"
    yield f"ok            {verdict.ok}; given up with the provider {verdict.gave_up}, after crashes {verdict.crashed}"
    yield f"lost          {len(verdict.lost)}"
    yield f"unexpected    {len(verdict.unexpected)}"
    yield f"duplicated    {len(verdict.duplicated)}"
    yield f"torn          {len(verdict.torn)} in {result.looks} looks; images without sidecar {verdict.orphans}"
    yield f"not listed    {len(verdict.stray)}"
    share = f"{verdict.calls_for_crashes} for crashes ({verdict.cost_of_crashes:.3f} times as many)"
    yield f"calls         {verdict.calls}, {share}"
    yield f"beyond budget, unaccounted or late calls: {len(verdict.unpaid)}"
    yield "calls of a job: " + ", ".join(f"{calls}: {jobs}" for calls, jobs in sorted(verdict.calls_of_a_job.items()))
    yield f"running again after kill -9: {_times(times.kill)}"
    yield f"running again after SIGTERM: {_times(times.stop)}"
    yield f"either, amid further troubles: {_times(times.in_trouble)}"
    yield f"busy again after Redis was back: {_times(times.redis)}"
    submit_ms, cancel_ms = 1000 * result.submit_p99_s, 1000 * result.cancel_p99_s
    yield f"accepted within {submit_ms:.0f} ms, cancelled within {cancel_ms:.0f} ms (p99)"


def page(results: Sequence[Result]) -> str:
    """Write results down, with the day and the machine."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    parts = [
        "# Reliability, as measured\n",
        "Made by `make chaos-full`; what the words mean stands in `tests/chaos/verdict/checker.py`.\n",
        f"{datetime.now(UTC):%Y-%m-%d}; {machine}\n",
    ]
    for result in results:
        kept = "not as promised" if list(result.problems()) else "as promised"
        title = f"{result.campaign.capitalize()}: {kept}"
        if result.is_control:
            title = "A plain Celery worker (`acks_late`) under a milder storm"
        parts += [f"## {title}\n", "```", *lines(result), "```\n"]
    return "\n".join(parts)


def _by_script(lost: Counter[str]) -> str:
    return f"{lost.total()} ({', '.join(f'{count} {name}' for name, count in lost.most_common())})"


def _others(result: Result) -> str:
    return ", ".join(f"{count} with {code}" for code, count in result.deaths.items() if code not in (0, -9)) or "none"


def _times(values: Sequence[float]) -> str:
    if not values:
        return "not seen"
    return f"{median(values):.1f} s (p99 {p99(values):.1f}, longest {max(values):.1f}, {len(values)} times)"
