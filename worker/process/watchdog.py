"""The watchdog: ends a worker that cannot work any more, so that whoever started it starts a fresh one.

Every five seconds it has the event loop look whether bells lie in Redis that this worker should have taken.
What is amiss six times in a row does not mend itself. Looks are counted, not seconds: a worker that was
stopped, or slept with its laptop, is not dead.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import signal
import threading
import time
from collections import deque
from concurrent.futures import Future
from enum import StrEnum
from typing import NoReturn

from celery.signals import task_postrun, task_prerun

from contract.errors.exceptions import Unavailable
from contract.redis.client import reaching_redis
from contract.store.celery_app import PRIORITIES, QUEUES
from contract.store.keys import PREFIX
from contract.store.worker_store import WorkerStore
from worker.execution.leases import Leases

LOOK_S = 5.0
PATIENCE = 6
LISTS = tuple(
    f"{PREFIX}{queue}:{priority}" if priority else PREFIX + queue for queue in QUEUES for priority in range(PRIORITIES)
)

logger = logging.getLogger(__name__)


class Observation(StrEnum):
    """What a look shows."""

    WELL = "all is well"
    STUCK = "its event loop stands still"
    DEAF = "bells ring that it does not hear"


class Watchdog:
    """Watches the event loop and the hearing of one worker with so many slots; one that stops need hear nothing."""

    def __init__(self, store: WorkerStore, leases: Leases, *, slots: int) -> None:
        self._store = store
        self._leases = leases
        self._slots = slots
        self._busy: set[int] = set()  # threads: a job may have two, when its bell was repeated
        self._has_heard = True
        self._sights: deque[Observation] = deque(maxlen=PATIENCE)
        task_prerun.connect(self._hear, weak=False)
        task_postrun.connect(self._end, weak=False)

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Watch for ever, in a thread of its own."""
        threading.Thread(target=self._watch, args=(loop,), name="darkroom-watchdog", daemon=True).start()

    def is_hopeless(self, sight: Observation) -> bool:
        """Remember a sight; tell whether the same thing was amiss each time lately."""
        self._sights.append(sight)
        return sight is not Observation.WELL and self._sights.count(sight) == PATIENCE

    async def look(self) -> Observation:
        """See whether bells lie in Redis although a slot is free, and none was heard since the last look."""
        has_heard, self._has_heard = self._has_heard, False
        if self._leases.is_closed():
            return Observation.WELL
        try:
            async with reaching_redis(), asyncio.timeout(LOOK_S):
                bells = await self._store.redis.exists(*LISTS)
        except Unavailable:
            return Observation.WELL  # it is Redis that is not
        return Observation.DEAF if bells and not has_heard and len(self._busy) < self._slots else Observation.WELL

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        look: Future[Observation] | None = None
        while True:
            look = look or asyncio.run_coroutine_threadsafe(self.look(), loop)
            time.sleep(LOOK_S)
            sight = look.result() if look.done() and look.exception() is None else Observation.STUCK
            if self.is_hopeless(sight):
                give_up(sight)
            look = None if look.done() else look

    def _hear(self, **_: object) -> None:
        self._has_heard = True
        self._busy.add(threading.get_ident())

    def _end(self, **_: object) -> None:
        self._busy.discard(threading.get_ident())


def give_up(why: str) -> NoReturn:
    """End this process at once, as it can neither work nor stop cleanly; its jobs' leases end by themselves."""
    signal.alarm(5)  # it ends this process, too, should the log be what stands still
    logger.critical("this worker gives up: %s", why)
    faulthandler.dump_traceback()
    os._exit(os.EX_SOFTWARE)
