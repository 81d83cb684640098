"""A clean stop: no new jobs and calls, some time for the running ones, then the rest goes back to the queue."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable

from worker.execution.leases import Leases
from worker.process.watchdog import give_up

LAST_S = 15.0  # for giving back, and for Celery to end

logger = logging.getLogger(__name__)


def drain(loop: asyncio.AbstractEventLoop, leases: Leases, *, seconds: float) -> None:
    """Give running jobs back after a while, unless they have ended before.

    A bell that still comes in is not answered: the sweeper rings it again for another worker. Celery
    exits when the last job's thread is free.
    """
    leases.close()
    logger.info("stopping: calls under way have %.0f s; Ctrl-C again gives their jobs back at once", seconds)
    _after(seconds, loop.call_soon_threadsafe, leases.give_back)
    _after(seconds + LAST_S, give_up, "it does not come to its end")


def hurry(loop: asyncio.AbstractEventLoop, leases: Leases) -> None:
    """Give running jobs back now, at a second signal."""
    logger.info("stopping at once: running jobs go back to the queue")
    loop.call_soon_threadsafe(leases.give_back)
    _after(LAST_S, give_up, "it does not come to its end")


def _after(seconds: float, act: Callable[..., object], *args: object) -> None:
    timer = threading.Timer(seconds, act, args=args)
    timer.daemon = True
    timer.start()
