"""The Celery task: the one bridge from its threads to the worker's event loop."""

from __future__ import annotations

import asyncio

from celery import Celery

from contract.doorbell import TASK
from worker import failpoint
from worker.bench import Bench
from worker.run import run


def register(app: Celery, loop: asyncio.AbstractEventLoop, bench: Bench) -> None:
    """Teach a Celery application to answer the doorbell."""

    def develop(job_id: str) -> None:
        failpoint.reach("after_pop")
        asyncio.run_coroutine_threadsafe(run(job_id, bench), loop).result()

    app.task(name=TASK)(develop)
