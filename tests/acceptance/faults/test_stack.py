"""What the tests' own stack starts is told about when it does not come up, and never left behind."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from tests.support.process.fork_server import ForkedProcess
from tests.support.stack.stack import NotStarted, Stack

pytestmark = pytest.mark.real_redis


async def test_a_process_that_ends_as_it_starts_is_told_with_its_log(stack: Stack) -> None:
    stack.config.write_text("{")
    for start in (stack.start_worker, stack.start_gateway):
        with pytest.raises(NotStarted, match=r"(?s)it ended \(2\): .*is not valid JSON"):
            await start()


async def test_a_start_that_is_cancelled_leaves_no_process(stack: Stack) -> None:
    starting = asyncio.create_task(stack.start_worker())
    while not list(stack.folder.glob("worker-*.log")):  # its thread has begun
        await asyncio.sleep(0)
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    stack.stop()
    assert [worker.poll() is not None for worker in stack.workers] == [True]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere all processes are started for real")
async def test_a_process_is_forked_unless_it_could_not_be_told_from_one_that_was_not(stack: Stack) -> None:
    forked = await stack.start_worker()
    other = await stack.start_worker(MALLOC_ARENA_MAX="1")
    stack.forks = False
    measured = await stack.start_worker()
    assert [type(each) for each in (forked, other, measured)] == [ForkedProcess, subprocess.Popen, subprocess.Popen]


def test_logs_are_read_as_they_were_begun(stack: Stack) -> None:
    for number in range(11):
        stack.new_log("worker").write_text(f"{number} ")
    assert stack.logs().split() == [str(number) for number in range(11)]
