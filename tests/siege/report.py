"""Who had to wait how long while which abuse went on, what is wrong with that, and the table of it."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.siege.abuses.table import ABUSES

BEGIN, END = "<!-- siege -->", "<!-- end of siege -->"
KINDS = ("submit", "status", "first image", "thumbnail", "webhook")
MOST_TIMES = 2.0
MOST_MIB = {"gateway": 1024.0, "worker": 1024.0, "redis": 256.0}
# Less than this is not judged: two cores run the provider, Redis, ten tenants and the abuser as well.
NOT_JUDGED_S = {"submit": 0.5, "status": 0.3, "first image": 1.5, "thumbnail": 0.75, "webhook": 1.0}


@dataclass(frozen=True, slots=True)
class Waited:
    """One thing that a tenant waited for."""

    kind: str
    at: float
    seconds: float
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class Phase:
    """One abuse: when, what the tenants waited for, what the abuser was answered, and the peaks of memory."""

    name: str
    begin: float
    end: float
    waited: Sequence[Waited]
    did: Mapping[str, int]
    peaks: Mapping[str, float]

    def p99(self, kind: str) -> float:
        """Tell what 99 of 100 waits of a kind did not exceed, in seconds."""
        found = sorted(each.seconds for each in self.waited if each.kind == kind and not each.wrong)
        return found[min(len(found) - 1, int(0.99 * len(found)))] if found else 0.0

    def wrong(self) -> list[Waited]:
        """List what was refused or lost."""
        return [each for each in self.waited if each.wrong]


def is_slow(phase: Phase, quiet: Phase) -> bool:
    """Tell whether tenants waited too long, and nothing else is wrong."""
    return [*problems(phase, quiet)] == [*_delays(phase, quiet)] != []


def problems(phase: Phase, quiet: Phase) -> Iterator[str]:
    """Say what is not as promised."""
    yield from _delays(phase, quiet)
    for kind in KINDS:
        if not any(each.kind == kind for each in phase.waited):
            yield f"{phase.name}: nobody waited for a {kind}"
    for words, times in Counter(f"{each.kind}: {each.wrong}" for each in phase.wrong()).most_common(3):
        yield f"{phase.name}: {times} × {words}"
    for part, most_mib in MOST_MIB.items():
        if phase.peaks.get(part, 0) > most_mib:
            yield f"{phase.name}: the {part} held {phase.peaks[part]:.0f} MiB, at most {most_mib:.0f} are promised"
    if phase.name in ABUSES and not phase.did:
        yield f"{phase.name}: the abuser did nothing"


def _delays(phase: Phase, quiet: Phase) -> Iterator[str]:
    for kind in KINDS:
        most = max(NOT_JUDGED_S[kind], MOST_TIMES * quiet.p99(kind))
        if phase.p99(kind) > most:
            yield f"{phase.name}: {kind} took {phase.p99(kind):.3f} s (p99), at most {most:.3f} s is promised"


def lines(phases: Sequence[Phase]) -> Iterator[str]:
    """Write the table, in Markdown."""
    yield "| what one tenant does | submit | status | first image | thumbnail | webhook | memory | answers |"
    yield "|---|---|---|---|---|---|---|---|"
    for phase in phases:
        words = ABUSES[phase.name].words if phase.name in ABUSES else "nothing"
        waits = " | ".join(f"{1000 * phase.p99(kind):.0f}" for kind in KINDS)
        memory = ", ".join(f"{phase.peaks.get(part, 0):.0f}" for part in MOST_MIB)
        did = ", ".join(f"{times} × {what}" for what, times in Counter(phase.did).most_common(5))
        yield f"| {words} | {waits} | {memory} | {did} |"


def write(page: Path, table: str) -> None:
    """Put the table into a page, between two marks."""
    head, begin, rest = page.read_text().partition(BEGIN)
    _, end, tail = rest.partition(END)
    assert begin, f"{page} has no {BEGIN}"
    assert end, f"{page} has no {END}"
    page.write_text(f"{head}{BEGIN}\n{table}\n{END}{tail}")


def heading(gateways: int, workers: int) -> str:
    """Say when and where it was measured."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    parts = f"{gateways} gateway{'s'[: gateways > 1]}, {workers} worker{'s'[: workers > 1]}"
    return f"{datetime.now(UTC):%Y-%m-%d}; {machine}; {parts}; p99 in ms, peaks of gateway, worker and Redis in MiB"
