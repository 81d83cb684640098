"""A clean stop: no new jobs, some time for the running ones, then the rest goes back to the queue."""

from __future__ import annotations

import asyncio
import logging
import threading

from worker.leases import Leases

logger = logging.getLogger(__name__)


def drain(loop: asyncio.AbstractEventLoop, leases: Leases, *, seconds: float) -> None:
    """Give running jobs back after a while, unless they have ended before.

    A bell that still comes in is not answered: the sweeper rings it again for another worker. Celery
    exits when the last job's thread is free.
    """
    leases.close()
    logger.info("stopping: running jobs have %.0f s", seconds)
    timer = threading.Timer(seconds, loop.call_soon_threadsafe, args=(leases.give_back,))
    timer.daemon = True
    timer.start()
