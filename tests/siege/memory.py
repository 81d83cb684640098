"""What processes hold in memory, as a container would count it: proportional pages, and files that have no name."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from redis.asyncio import Redis

MIB = 2**20
LOOK_S = 0.25
_PSS = re.compile(rb"^Pss:\s+(\d+) kB", re.MULTILINE)


@dataclass(slots=True)
class Watch:
    """Looks again and again, and keeps the highest figures since it was last asked, in MiB."""

    processes: Mapping[str, Sequence[int]]  # by the name of the part
    redis: Redis
    peaks: dict[str, float] = field(default_factory=dict)

    async def keep(self) -> None:
        """Look for ever."""
        while True:
            for part, pids in self.processes.items():
                self._note(part, await asyncio.to_thread(_most, pids))
            self._note("redis", int((await self.redis.info("memory"))["used_memory"]))
            await asyncio.sleep(LOOK_S)

    def take(self) -> dict[str, float]:
        """Answer the peaks, and begin anew."""
        peaks, self.peaks = self.peaks, {}
        return peaks

    def _note(self, part: str, held: int) -> None:
        self.peaks[part] = max(self.peaks.get(part, 0.0), held / MIB)


def _most(pids: Sequence[int]) -> int:
    return max(map(held_by, pids))


def held_by(pid: int) -> int:
    """Tell what a process and its children hold, in bytes."""
    return sum(_pages(each) + _nameless_files(each) for each in _family(pid))


def _family(pid: int) -> Iterator[int]:
    yield pid
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                for child in (thread / "children").read_text().split():
                    yield from _family(int(child))


def _pages(pid: int) -> int:
    with suppress(OSError):
        found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_bytes())
        return 1024 * int(found.group(1)) if found else 0
    return 0


def _nameless_files(pid: int) -> int:
    """Count bodies that are on their way: in compose their files are in memory, too."""
    held = 0
    with suppress(OSError):
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if file.readlink().name.endswith(" (deleted)"):
                    held += file.stat().st_blocks * 512
    return held
