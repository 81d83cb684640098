"""Answers that cost far more to open than to send: each is dealt with in two seconds and 300 MiB, and hurts nobody.

Every specimen runs in one job, while another job on the same worker gets a good picture; `-s` prints the figures.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio
from simulator.catalogue.table import CATALOGUE

from contract.jobs.job import Job, JobState
from tests.catalogues.provider_faults.expectation import Expect
from tests.catalogues.provider_faults.rooms import Room, open_room
from tests.catalogues.provider_faults.telling import GOOD, step_of

pytestmark = [
    pytest.mark.real_redis,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc"),
]

ROWS = ("P53", "P54", *(f"P{number}" for number in range(58, 67)))
BOMBS = {f"{row}-{name}": (row, name) for row in ROWS for name in CATALOGUE[row]} | {"P51-bomb": ("P51", "bomb")}
MOST_S = 2.0
MOST_MIB = 300
LOOK_S = 0.01
READERS = 2


class Memory:
    """The memory of a worker and its reader processes, in MiB."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._idle = sum(_status(each, "VmRSS") for each in self.processes())
        self._peaks: dict[int, float] = {}

    def processes(self) -> list[int]:
        """List the worker and its readers."""
        lists = Path(f"/proc/{self._pid}/task").glob("*/children")
        return [self._pid, *(int(pid) for children in lists for pid in children.read_text().split())]

    def forget(self) -> None:
        """Forget the peaks so far."""
        self._peaks.clear()
        for pid in self.processes():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    async def watch(self) -> None:
        """Look for ever, as a process that dies takes its peak with it."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_S)

    def look(self) -> None:
        """Note the peaks."""
        for pid in self.processes():
            self._peaks[pid] = max(self._peaks.get(pid, 0), _status(pid, "VmHWM"))

    def growth(self) -> float:
        """Tell how much more there was than when all were idle, at most."""
        self.look()
        return sum(self._peaks.values()) - self._idle


def _status(pid: int, name: str) -> float:
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(name)), 0.0)
    return 0.0


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def room() -> AsyncIterator[Room]:
    """Open a Darkroom whose reader processes are all started and warm."""
    async with open_room("calm", CALLS_PER_IMAGE=1) as room:
        room.simulator.script([GOOD])
        jobs = [await room.darkroom.submit(prompt="warm up", fallback="none") for _ in range(8)]
        await asyncio.gather(*(room.darkroom.wait(job.id, timeout_s=20) for job in jobs))
        yield room


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def memory(room: Room) -> Memory:
    """Measure the idle worker, once for all specimens."""
    memory = Memory(room.worker.pid)
    assert len(memory.processes()) == 1 + READERS
    return memory


@pytest.mark.parametrize("name", BOMBS)
async def test_bomb(name: str, room: Room, memory: Memory) -> None:
    row, variant = BOMBS[name]
    await room.clean()
    room.simulator.script([step_of(row, variant, Expect())], match="bomb")
    room.simulator.script([{**GOOD, "seconds": 0.1}], match="neighbour")
    memory.forget()
    watching = asyncio.create_task(memory.watch())
    bomb = await room.darkroom.submit(prompt="bomb", fallback="none")
    neighbour = await room.darkroom.submit(prompt="neighbour", fallback="none")
    bomb = await room.darkroom.wait(bomb.id, timeout_s=40)
    neighbour = await room.darkroom.wait(neighbour.id, timeout_s=30)
    watching.cancel()
    code = bomb.error.code if bomb.error else str(bomb.state)
    print(f"\n{name}: {code} after {seconds_of(bomb, room):.2f} s, {memory.growth():.0f} MiB", end=" ")
    assert seconds_of(bomb, room) <= MOST_S
    assert memory.growth() <= MOST_MIB
    assert neighbour.state is JobState.SUCCEEDED
    assert room.worker.poll() is None


def seconds_of(job: Job, room: Room) -> float:
    """Tell how long after the end of its answer a job has ended."""
    [call] = [call for call in room.simulator.ledger if call.job_id == job.id]
    assert job.ended_at is not None
    assert call.seconds is not None
    return job.ended_at.timestamp() - call.started_at - call.seconds


async def test_nothing_of_a_refused_answer_stays(room: Room, memory: Memory) -> None:
    memory.forget()
    for _ in range(8):
        await room.clean()
        room.simulator.script("P53.endless", match="bomb")
        job = await room.darkroom.submit(prompt="bomb", fallback="none")
        job = await room.darkroom.wait(job.id, timeout_s=20)
        assert job.error is not None
        assert job.error.code == "answer_too_large"
    print(f"\n8 floods: {memory.growth():.0f} MiB", end=" ")
    assert memory.growth() <= MOST_MIB
