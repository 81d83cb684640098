"""Waiting for what others do, other processes above all, by looking again and again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable


async def until(is_so: Callable[[], object], *, within_s: float = 15) -> None:
    """Look until something is so."""
    async with asyncio.timeout(within_s):
        while not is_so():
            await asyncio.sleep(0.02)


async def frozen(*pids: int) -> None:
    """Wait until child processes have stopped themselves and stand still."""
    how = os.WSTOPPED | os.WNOHANG | os.WNOWAIT
    await until(lambda: all(os.waitid(os.P_PID, pid, how) for pid in pids))
