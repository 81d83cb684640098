"""What became of a campaign, and what of it is not as promised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tests.chaos.verdict.checker import Verdict
from tests.chaos.verdict.timing import Recoveries, p99


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a campaign."""

    campaign: str
    is_control: bool
    seed: int
    seconds: float
    has_settled: bool
    verdict: Verdict
    recoveries: Recoveries
    faults: Counter[str]
    lost_answers: Counter[str]  # of Redis, by scripts
    deaths: Counter[int]  # of workers, by exit code
    looks: int
    submit_p99_s: float
    cancel_p99_s: float

    def problems(self) -> Iterator[str]:
        """List what is not as promised; a control that keeps the promise shows that the checker sees nothing."""
        if not self.is_control:
            yield from self._breaches()
            yield from self._figures()
        elif not (self.verdict.lost or self.verdict.duplicated):
            yield "the control lost nothing and did nothing twice"

    def _breaches(self) -> Iterator[str]:
        if not self.has_settled:
            yield "jobs were left long after the last fault"
        if self.faults["lose_answers"] and not self.lost_answers:
            yield "no answer of Redis was lost: that fault has no effect"
        for name in ("lost", "unexpected", "duplicated", "torn", "unpaid"):
            yield from (f"{name}: {each}" for each in getattr(self.verdict, name))

    def _figures(self) -> Iterator[str]:
        verdict = self.verdict
        if verdict.cost_of_crashes > 1.10:
            yield f"crashes made {verdict.cost_of_crashes:.3f} times as many calls: 1.10 is allowed"
        if verdict.gave_up > max(2, 0.01 * verdict.attempted):
            yield f"{verdict.gave_up} jobs were given up although every fault passes"
        for name, values, most in (
            ("a killed worker's job ran again", self.recoveries.kill, 20.0),
            ("a stopped worker's job ran again", self.recoveries.stop, 5.0),
            ("a job whose next workers were struck, too, ran again", self.recoveries.in_trouble, 60.0),
            ("a worker was busy after Redis came back", self.recoveries.redis, 10.0),
        ):
            if values and p99(values) > most:
                yield f"{name} after {p99(values):.1f} s (p99): {most:.0f} s are allowed"
