"""The Celery task: the one bridge from its threads to the worker's event loop."""

from __future__ import annotations

import asyncio
from typing import Any

from celery import Celery

from contract.store.celery_app import TASK
from contract.version import CONTRACT
from worker import failpoint
from worker.execution.context import WorkerContext
from worker.execution.job_run import run


def register(app: Celery, loop: asyncio.AbstractEventLoop, context: WorkerContext) -> None:
    """Teach a Celery application to answer the doorbell."""

    def develop(task: Any, job_id: str) -> None:
        failpoint.reach("after_pop")
        contract = int(task.request.get("contract") or 1)
        answer = run(job_id, context) if contract <= CONTRACT else context.store.leave(job_id, contract)
        asyncio.run_coroutine_threadsafe(answer, loop).result()

    app.task(name=TASK, bind=True)(develop)
