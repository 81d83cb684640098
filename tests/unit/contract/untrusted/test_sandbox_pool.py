"""A pool of children: a question waits for its turn, and a child that is lost costs one question."""

from __future__ import annotations

import asyncio
import gc
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator

import pytest

from contract.untrusted.sandbox_pool import ChildLost, SandboxPool

ECHO = "tests.support.process.echo"
HOG = "tests.support.process.memory_hog"
Process = subprocess.Popen[bytes]


@pytest.fixture
async def pool() -> AsyncIterator[SandboxPool]:
    one = SandboxPool(ECHO, size=1, wall_s=10)
    yield one
    await one.close()


async def test_a_child_is_started_when_it_is_needed_and_answers_all(
    pool: SandboxPool, processes: list[Process]
) -> None:
    assert processes == []
    found = await asyncio.gather(*(pool.ask({"number": number}, b"%d" % number) for number in range(5)))
    assert [(head["number"], bytes(body)) for head, body in found] == [(number, b"%d" % number) for number in range(5)]
    assert len(processes) == 1


async def test_a_warm_pool_has_a_child_at_once(processes: list[Process]) -> None:
    pool = SandboxPool(ECHO, size=2, wall_s=10, is_warm=True)
    assert len(processes) == 1
    await pool.close()
    assert processes[0].returncode == -signal.SIGKILL


async def test_several_work_at_the_same_time(processes: list[Process]) -> None:
    pool = SandboxPool(ECHO, size=2, wall_s=10)
    await asyncio.gather(pool.ask({}, b""), pool.ask({}, b""))
    assert len(processes) == 2
    await pool.close()


async def test_a_child_that_dies_costs_its_question_and_is_replaced(
    pool: SandboxPool, processes: list[Process]
) -> None:
    pool.module = HOG
    with pytest.raises(ChildLost) as lost:
        await pool.ask({}, b"")
    assert not lost.value.is_late
    pool.module = ECHO
    assert (await pool.ask({}, b"again"))[1] == b"again"
    assert len(processes) == 2


async def test_a_child_that_takes_too_long_is_late(pool: SandboxPool, processes: list[Process]) -> None:
    await pool.ask({}, b"")
    processes[0].send_signal(signal.SIGSTOP)
    pool.wall_s = 0.1
    before = time.monotonic()
    with pytest.raises(ChildLost) as lost:
        await pool.ask({}, b"")
    assert (lost.value.is_late, time.monotonic() - before < 5) == (True, True)
    pool.wall_s = 10
    assert (await pool.ask({}, b"again"))[1] == b"again"


async def test_a_child_is_replaced_after_so_many_questions(processes: list[Process]) -> None:
    pool = SandboxPool(ECHO, size=1, wall_s=10, most_questions=2)
    for _ in range(5):
        await pool.ask({}, b"")
    assert len(processes) == 3
    await pool.close()


async def test_closing_ends_a_question_under_way_and_those_that_wait(processes: list[Process]) -> None:
    pool = SandboxPool(ECHO, size=1, wall_s=60)
    await pool.ask({}, b"")
    processes[0].send_signal(signal.SIGSTOP)
    asking = [asyncio.create_task(pool.ask({}, b"")) for _ in range(3)]
    await asyncio.sleep(0)  # the first one has the child now
    async with asyncio.timeout(10):
        await pool.close()
        lost = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(error) for error in lost] == [ChildLost] * 3
    assert [process.returncode for process in processes] == [-signal.SIGKILL]


async def test_a_question_that_is_cancelled_while_the_pool_closes_is_cancelled(processes: list[Process]) -> None:
    pool = SandboxPool(ECHO, size=1, wall_s=60)
    await pool.ask({}, b"")
    processes[0].send_signal(signal.SIGSTOP)
    asking = asyncio.create_task(pool.ask({}, b""))
    await asyncio.sleep(0)
    asking.cancel()
    await pool.close()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert [process.returncode for process in processes] == [-signal.SIGKILL]


async def test_a_child_that_cannot_be_started_is_told_from_one_that_died(
    pool: SandboxPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", "/nonexistent/python")
        with pytest.raises(ChildLost) as lost:
            await pool.ask({}, b"")
    assert (lost.value.is_unstarted, lost.value.is_late) == (True, False)
    del lost
    gc.collect()  # a socket that is still open is told now, and fails this test
    assert (await pool.ask({}, b"again"))[1] == b"again"
