"""When an event loop, or a process as nice as a worker, did not get its turn while something else went on."""

from __future__ import annotations

import asyncio
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

ROOT = Path(__file__).parents[3]
LOOK_S = 0.002
REST_S, WORK_S = 0.02, 0.001
COUNTS_S = 0.02  # a shorter stall is no more than the grain of a scheduler


@dataclass(frozen=True, slots=True)
class Stall:
    """A time in which nothing went on: wall clock, in seconds."""

    begin: float
    end: float


class LoopWatch:
    """Looks how long the event loop stands still; what it does itself counts, too."""

    def __init__(self) -> None:
        self.stalls: list[float] = [0.0]
        self._asked = time.monotonic()

    async def keep(self) -> None:
        """Look for ever."""
        while True:
            self._asked = time.monotonic()
            await asyncio.sleep(LOOK_S)
            self.note()

    def note(self) -> None:
        """Note how much later than asked for it is."""
        self.stalls.append(max(0.0, time.monotonic() - self._asked - LOOK_S))


@contextmanager
def watching_the_loop() -> Iterator[list[float]]:
    """Measure each time that the event loop stands still, in seconds."""
    watch = LoopWatch()
    task = asyncio.create_task(watch.keep())
    try:
        yield watch.stalls
    finally:
        watch.note()  # of the one that has not ended
        task.cancel()


@contextmanager
def watching_the_machine(nice: int) -> Iterator[list[Stall]]:
    """Note when this loop, and a process that is so nice, stood still; the list is there in the end."""
    stalls: list[Stall] = []
    with TemporaryFile("w+") as told:
        command = [sys.executable, "-m", __name__, str(nice)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=told, stdin=subprocess.PIPE)
        task = asyncio.create_task(_note(stalls))
        try:
            yield stalls
        finally:
            task.cancel()
            process.communicate()
            told.seek(0)
            stalls += [Stall(*json.loads(line)) for line in told]


def stalled_s(stalls: Iterable[Stall], begin: float, end: float) -> float:
    """Say for how much of a time something stood still; what stood still together counts once."""
    seconds, until = 0.0, begin
    for stall in sorted(stalls, key=lambda stall: stall.begin):
        since = max(stall.begin, until)
        if (till := min(stall.end, end)) > since:
            seconds += till - since
            until = till
    return seconds


async def _note(stalls: list[Stall]) -> None:
    while True:
        asked = time.time()
        await asyncio.sleep(LOOK_S)
        if (now := time.time()) - asked - LOOK_S > COUNTS_S:
            stalls.append(Stall(asked, now - LOOK_S))


def main(arguments: Sequence[str]) -> None:
    """Print each stall of this process as begin and end, until the input ends; it works a little, as a worker does."""
    os.nice(int(arguments[0]))
    while True:
        asked, worked = time.time(), time.process_time()
        if select.select([0], [], [], REST_S)[0]:
            return
        while time.process_time() - worked < WORK_S:
            pass
        if (now := time.time()) - asked - REST_S - WORK_S > COUNTS_S:
            print(json.dumps((asked, now - REST_S - WORK_S)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
