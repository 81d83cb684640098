"""Celery's worker, as far as we need it: it takes bells from Redis and gives each a thread."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from celery.apps.worker import Worker
from celery.signals import worker_shutting_down

from contract.store.celery_app import QUEUES, celery_app
from worker.execution.context import WorkerContext
from worker.process.graceful_shutdown import drain, hurry
from worker.process.tasks import register
from worker.process.waking_pool import WakingPool


class Consumer(Worker):  # type: ignore[misc]
    """Celery's worker, which calls `stop` whatever it ends of, and `hurry` when it is interrupted meanwhile."""

    def __init__(self, *, stop: Callable[[], None], hurry: Callable[[], None], **options: object) -> None:
        self._stop_jobs = stop
        self._hurry = hurry
        self._is_closing = False
        super().__init__(**options)

    def install_platform_tweaks(self, worker: Worker) -> None:
        """Take signals; Celery's own cold stop cannot end the jobs of a pool of threads."""
        super().install_platform_tweaks(worker)
        celerys: Any = signal.getsignal(signal.SIGTERM)

        def interrupted(*event: object) -> None:
            is_second, self._is_closing = self._is_closing, True
            celerys(*event)
            if is_second:
                self._hurry()

        signal.signal(signal.SIGINT, interrupted)
        signal.signal(signal.SIGQUIT, interrupted)

    def on_close(self) -> None:
        """Begin to end."""
        self._is_closing = True
        self._stop_jobs()
        super().on_close()


def answer_bells(context: WorkerContext, loop: asyncio.AbstractEventLoop) -> int:
    """Answer bells until Celery ends; answer the exit code, which is 0 only if it was asked to end."""
    env = context.settings.env
    app = celery_app(env.redis_url.get_secret_value())
    register(app, loop, context)
    was_asked = threading.Event()

    def stop() -> None:
        if not context.leases.is_closed():
            drain(loop, context.leases, seconds=context.settings.drain_s)

    def ask(**_: object) -> None:
        was_asked.set()
        stop()

    worker_shutting_down.connect(ask, weak=False)
    Consumer(
        stop=stop,
        hurry=partial(hurry, loop, context.leases),
        app=app,
        hostname=f"darkroom@{context.worker}",
        pool=WakingPool,
        queues=list(QUEUES),
        concurrency=env.concurrency,
        without_gossip=True,
        without_mingle=True,
        quiet=True,
    ).start()
    return 0 if was_asked.is_set() else os.EX_SOFTWARE
