"""What stands still is noticed: a loop that something blocks, and a process that does not get its turn."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.process.loop_stalls import ROOT, Stall, stalled_s, watching_the_loop, watching_the_machine


async def test_a_blocked_loop_is_seen_also_at_the_very_end() -> None:
    with watching_the_loop() as stalls:
        await asyncio.sleep(0.01)
        time.sleep(0.1)  # noqa: ASYNC251
        await asyncio.sleep(0.01)
        before = sum(stalls)
        time.sleep(0.2)  # noqa: ASYNC251
    assert before >= 0.09
    assert sum(stalls) - before >= 0.19


async def test_when_the_loop_stood_still_is_told() -> None:
    with watching_the_machine(5) as stalls:
        await asyncio.sleep(0.01)
        began = time.time()
        time.sleep(0.2)  # noqa: ASYNC251
        ended = time.time()
        await asyncio.sleep(0.05)
    assert stalled_s(stalls, began, ended) >= 0.19


def test_a_process_that_does_not_get_its_turn_tells_when(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.support.process.loop_stalls", "5"]
    told, seconds, until = tmp_path / "told", 0.0, time.monotonic() + 60
    with told.open("w") as log, subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=log) as probe:
        while seconds < 0.25:  # it may not have begun to look
            assert time.monotonic() < until
            began = time.time()
            probe.send_signal(signal.SIGSTOP)
            time.sleep(0.3)
            probe.send_signal(signal.SIGCONT)
            time.sleep(0.1)
            stalls = [Stall(*json.loads(line)) for line in told.read_text().splitlines()]
            seconds = stalled_s(stalls, began, time.time())


@pytest.mark.parametrize(
    ("stalls", "seconds"),
    [
        ([], 0),
        ([Stall(0, 9)], 0),
        ([Stall(21, 30)], 0),
        ([Stall(9, 11)], 1),
        ([Stall(19, 30)], 1),
        ([Stall(0, 30)], 10),
        ([Stall(14, 16), Stall(11, 12)], 3),
        ([Stall(11, 14), Stall(12, 13), Stall(13, 15)], 4),
    ],
)
def test_what_stood_still_together_counts_once_and_only_within_a_time(stalls: list[Stall], seconds: float) -> None:
    assert stalled_s(stalls, 10, 20) == seconds
