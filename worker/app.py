"""Where a worker process is put together: settings, one event loop, Celery around it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from celery import Celery
from celery.signals import worker_shutting_down

from contract.doorbell import Doorbell, celery_app
from contract.references import References
from contract.scripts import open_redis
from contract.settings import Settings, load_settings
from contract.store import JobStore
from worker.bench import Bench
from worker.drain import drain
from worker.gate import Gates
from worker.leases import Leases
from worker.providers.http import Wire
from worker.sandbox import Sandbox, return_large_blocks
from worker.sweeper import Sweeper
from worker.tasks import register
from worker.writer import Writer

logger = logging.getLogger(__name__)


def main(config: Path | None = None) -> None:
    """Run a worker until SIGTERM. Raises ConfigInvalid."""
    settings = load_settings(config)
    os.umask(0o077)
    return_large_blocks()
    _log()
    name = f"{socket.gethostname()}-{os.getpid()}"
    redis_url = settings.knobs.redis_url.get_secret_value()
    app = celery_app(redis_url, task_events=settings.knobs.task_events)
    bench = make_bench(settings, name)
    loop = asyncio.new_event_loop()
    loop.set_default_executor(ThreadPoolExecutor(32, thread_name_prefix="darkroom-io"))
    register(app, loop, bench)

    def stop(**_: object) -> None:
        drain(loop, bench.leases, seconds=settings.knobs.drain_seconds)

    worker_shutting_down.connect(stop, weak=False)
    threading.Thread(target=loop.run_forever, name="darkroom-loop", daemon=True).start()
    sweeper = Sweeper(bench.store, worker=name, lease_s=settings.knobs.lease_seconds)
    asyncio.run_coroutine_threadsafe(_watch(bench.leases, sweeper), loop)
    _start(app, name, settings.knobs.concurrency)


def make_bench(settings: Settings, name: str) -> Bench:
    """Build what every job of this worker works with."""
    knobs = settings.knobs
    redis = open_redis(knobs.redis_url.get_secret_value(), timeout_s=5)
    store = JobStore(redis, Doorbell(), retention_s=knobs.retention_seconds)
    return Bench(
        worker=name,
        settings=settings,
        store=store,
        leases=Leases(store, worker=name, lease_s=knobs.lease_seconds),
        references=References(
            roots=(settings.workspace, settings.media), workspace=settings.workspace, inputs=settings.home / "inputs"
        ),
        writer=Writer(media=settings.media, save_dir=settings.image.save_dir),
        gates=Gates(store, limit=knobs.max_concurrency, open_s=knobs.breaker_seconds),
        wire=Wire(
            ssl_context=ssl.create_default_context(),
            sandbox=Sandbox(),
            connect_s=knobs.connect_seconds,
            idle_s=knobs.idle_seconds,
            retry_s=knobs.retry_seconds,
        ),
    )


async def _watch(leases: Leases, sweeper: Sweeper) -> None:
    """Run the worker's loops; if one breaks the whole worker stops, and its supervisor starts a fresh one."""
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(leases.keep())
            group.create_task(sweeper.sweep())
    except Exception:
        logger.critical("a loop of this worker broke", exc_info=True)
        os.kill(os.getpid(), signal.SIGKILL)


def _log() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("httpx", "httpcore", "celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _start(app: Celery, name: str, concurrency: int) -> None:
    arguments = ["--pool=threads", f"--concurrency={concurrency}", f"--hostname=darkroom@{name}"]
    app.worker_main(["worker", *arguments, "--without-gossip", "--without-mingle", "--loglevel=WARNING"])
