"""The watchdog: ends a worker that cannot work any more, so that its supervisor starts a fresh one.

Every five seconds it has the event loop look whether bells lie in Redis that this worker should have taken.
A fault that is seen six times in a row stays. Looks are counted, not seconds: a worker that was
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
    NOT_CONSUMING = "it does not take the doorbells in Redis"


class Watchdog:
    """Watches whether a worker with so many slots runs its event loop and takes bells, unless it is about to stop."""

    def __init__(self, store: WorkerStore, leases: Leases, *, slots: int) -> None:
        self._store = store
        self._leases = leases
        self._slots = slots
        self._busy: set[int] = set()  # threads: a job may have two, when its bell was repeated
        self._has_taken = True
        self._observations: deque[Observation] = deque(maxlen=PATIENCE)
        task_prerun.connect(self._begin, weak=False)
        task_postrun.connect(self._end, weak=False)

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Watch for ever, in a thread of its own."""
        threading.Thread(target=self._watch, args=(loop,), name="darkroom-watchdog", daemon=True).start()

    def is_hopeless(self, observation: Observation) -> bool:
        """Remember an observation; tell whether the same fault was seen each time lately."""
        self._observations.append(observation)
        return observation is not Observation.WELL and self._observations.count(observation) == PATIENCE

    async def look(self) -> Observation:
        """See whether bells lie in Redis although a slot is free, and none was taken since the last look."""
        has_taken, self._has_taken = self._has_taken, False
        if self._leases.is_closed():
            return Observation.WELL
        try:
            async with reaching_redis(), asyncio.timeout(LOOK_S):
                bells = await self._store.redis.exists(*LISTS)
        except Unavailable:
            return Observation.WELL  # it is Redis that is not
        is_amiss = bells and not has_taken and len(self._busy) < self._slots
        return Observation.NOT_CONSUMING if is_amiss else Observation.WELL

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        look: Future[Observation] | None = None
        while True:
            look = look or asyncio.run_coroutine_threadsafe(self.look(), loop)
            time.sleep(LOOK_S)
            observation = look.result() if look.done() and look.exception() is None else Observation.STUCK
            if self.is_hopeless(observation):
                give_up(observation)
            look = None if look.done() else look

    def _begin(self, **_: object) -> None:
        self._has_taken = True
        self._busy.add(threading.get_ident())

    def _end(self, **_: object) -> None:
        self._busy.discard(threading.get_ident())


def give_up(why: str) -> NoReturn:
    """End this process at once, as it can neither work nor stop cleanly; its jobs' leases end by themselves."""
    signal.alarm(5)  # it ends this process, too, should the log be what stands still
    logger.critical("this worker gives up: %s", why)
    faulthandler.dump_traceback()
    os._exit(os.EX_SOFTWARE)
