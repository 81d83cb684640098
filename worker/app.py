"""Where a worker process is put together: settings, one event loop, Celery around it."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import socket
import ssl
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from contract.redis.client import open_redis
from contract.settings.artifact_storage import open_artifact_store
from contract.settings.environment import Environment
from contract.settings.installation_secret import InstallationSecret
from contract.settings.loader import Settings, load_settings
from contract.store.doorbell import Doorbell
from contract.store.installation import digest_of
from contract.store.worker_store import WorkerStore
from worker import failpoint
from worker.artifacts.janitor import Janitor
from worker.artifacts.orphans import Orphans
from worker.execution.context import WorkerContext
from worker.execution.images_per_answer import ImagesPerAnswerStore
from worker.execution.leases import Leases
from worker.http.provider_client import HttpResources
from worker.memory.budget import Budget
from worker.memory.cgroup import machine_memory, memory_limit
from worker.memory.division import MIB, Portions, divide
from worker.policy.circuit_breaker import CircuitBreakers
from worker.process.celery_worker import answer_bells
from worker.process.logs import set_up_logs
from worker.process.startup_checks import Installation, check_storage, find_redis
from worker.process.sweeper import Sweeper
from worker.process.watchdog import Watchdog, give_up
from worker.sandbox.pool import Sandbox, return_large_blocks
from worker.webhooks.dispatcher import WebhookDispatcher
from worker.webhooks.outbox import WebhookOutbox

NICE = 5  # Redis and gateways on the same machine answer people; a picture can wait for some milliseconds

logger = logging.getLogger(__name__)


def main(config: Path | None = None) -> None:
    """Run a worker until it is asked to stop, then exit with 0. Raises ConfigInvalid."""
    for asked in (signal.SIGTERM, signal.SIGINT):
        signal.signal(asked, lambda *_: os._exit(0))  # until Celery has its own handlers; no job has begun
    settings = load_settings(config)
    os.umask(0o077)
    os.nice(NICE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold keys and prompts
    failpoint.arm(os.environ.get("DARKROOM_FAILPOINT", ""))
    return_large_blocks()
    set_up_logs()
    name = f"{socket.gethostname()}-{os.getpid()}"
    worker = make_context(settings, name)
    loop = asyncio.new_event_loop()
    loop.set_default_executor(ThreadPoolExecutor(32, thread_name_prefix="darkroom-io"))
    threading.Thread(target=loop.run_forever, name="darkroom-loop", daemon=True).start()
    lease_s = settings.env.lease_seconds
    asyncio.run_coroutine_threadsafe(_arrive(worker), loop).result()
    sweeper = Sweeper(worker.store, worker=name, lease_s=lease_s)
    loops = (worker.leases.keep(), sweeper.sweep(), make_janitor(worker).keep(), make_webhook_dispatcher(worker).keep())
    asyncio.run_coroutine_threadsafe(_watch(*loops), loop)
    Watchdog(worker.store, worker.leases, slots=settings.env.concurrency).watch(loop)
    code = answer_bells(worker, loop)
    logging.shutdown()
    os._exit(code)  # the loops in their thread must not see the interpreter end around them


async def _arrive(worker: WorkerContext) -> None:
    """Look at the storage, wait for Redis, and tell it of this worker. Raises ConfigInvalid."""
    settings = worker.settings
    env = settings.env
    await check_storage(worker.artifacts)
    mark = await worker.artifacts.marker(make=True)
    own = Installation(mark, digest_of(InstallationSecret.of(settings).key("installation")))
    allow = env.allow_unsafe_redis
    await find_redis(worker.store, worker.worker, own, lease_s=env.lease_seconds, allow_unsafe=allow)


def make_context(settings: Settings, name: str) -> WorkerContext:
    """Build what every job of this worker works with."""
    env = settings.env
    portions = portions_of(env)
    redis = open_redis(env.redis_url.get_secret_value(), timeout_s=5)
    store = WorkerStore(redis, Doorbell())
    sandbox, budget = Sandbox(beside=portions.beside), Budget(portions.bodies)
    return WorkerContext(
        worker=name,
        settings=settings,
        store=store,
        leases=Leases(store, worker=name, lease_s=env.lease_seconds, slots=env.concurrency),
        artifacts=open_artifact_store(settings, reach=failpoint.reach),
        breakers=CircuitBreakers(store, limit=env.max_concurrency, open_s=env.breaker_seconds),
        http=HttpResources(
            ssl_context=ssl.create_default_context(),
            sandbox=sandbox,
            budget=budget,
            connect_s=env.connect_seconds,
            idle_s=env.idle_seconds,
            retry_s=env.retry_seconds,
        ),
        sandbox=sandbox,
        budget=budget,
        images_per_answer=ImagesPerAnswerStore(redis),
    )


def portions_of(env: Environment) -> Portions:
    """Divide this worker's memory: that of its cgroup, or half of the machine's."""
    limit = memory_limit()
    bodies = env.body_memory_mb * MIB if env.body_memory_mb else None
    portions = divide(limit or machine_memory() // 2, bodies=bodies)
    logger.info("answers in flight may take %s MiB", portions.bodies // MIB)
    return portions


def make_janitor(worker: WorkerContext) -> Janitor:
    """Build what tidies the folders of this Darkroom."""
    env = worker.settings.env
    return Janitor(
        worker.artifacts,
        snapshot_age_s=env.queue_seconds + env.deadline_seconds + 86_400,  # as long as a job may live, and a day
        orphans=Orphans(worker.store, worker.artifacts),
    )


def make_webhook_dispatcher(worker: WorkerContext) -> WebhookDispatcher:
    """Build what tells receivers that jobs have ended."""
    env = worker.settings.env
    return WebhookDispatcher(
        WebhookOutbox(worker.store.redis),
        ssl_context=worker.http.ssl_context,
        secret=InstallationSecret.of(worker.settings),
        schedule=env.webhook_schedule,
        allowed=env.webhook_networks,
    )


async def _watch(*loops: Coroutine[Any, Any, None]) -> None:
    """Run the worker's loops; if one breaks the whole worker ends, and its supervisor starts a fresh one."""
    tasks = [asyncio.create_task(loop) for loop in loops]
    # No TaskGroup: it would wait for the others, in which redis-py now and then swallows a cancellation.
    broken, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    logger.critical("a loop of this worker broke", exc_info=broken.pop().exception())
    give_up("one of its loops broke")
