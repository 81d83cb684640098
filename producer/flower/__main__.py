"""`python -m producer.flower`: Flower, set up to look and not to touch, on loopback and behind a login.

FLOWER_BASIC_AUTH (user:password) is required; FLOWER_ADDRESS and FLOWER_PORT may be set.
"""

from __future__ import annotations

import os
import resource
import signal
import sys

from flower import command
from flower.app import Flower
from flower.urls import settings as flower_settings
from tornado.ioloop import IOLoop
from tornado.options import options

from contract.errors.exceptions import Problem
from contract.redis.client import open_redis
from contract.settings.environment import Environment, read_environment
from contract.settings.loader import config_path
from contract.store.celery_app import celery_app
from contract.telemetry.logs import log_to_stderr
from producer.flower.jobs import JobEvents
from producer.flower.queues import HANDLERS

MOST_TASKS, MOST_WORKERS = 10_000, 1_000
COLUMNS = "uuid,state,result,received,runtime,worker"  # more are wider than a screen
ARGUMENTS = (
    f"--max_tasks={MOST_TASKS}",
    f"--max_workers={MOST_WORKERS}",
    "--persistent=False",  # the journal has the past
    "--read_only=True",
    "--enable_events=False",  # of tasks: Celery takes a job that failed for a task that succeeded
    "--purge_offline_workers=30",
    f"--tasks_columns={COLUMNS}",
)


def main() -> None:
    """Run Flower until it is stopped; exit 2 without a login."""
    if ":" not in os.environ.get("FLOWER_BASIC_AUTH", ""):
        _refuse("Error: set FLOWER_BASIC_AUTH to user:password; Flower is never run open.")
    problems: list[Problem] = []
    env = read_environment(config_path(), problems)
    if problems:
        _refuse(*(f"Error: {problem}" for problem in problems))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold its logins
    os.environ.setdefault("FLOWER_ADDRESS", "127.0.0.1")
    command.apply_env_options()
    command.apply_options(sys.argv[0], ARGUMENTS)
    command.extract_settings()
    log_to_stderr()  # tornado adds no handler of its own then
    command.setup_logging()
    flower = make_flower(env)
    signal.signal(signal.SIGTERM, command.sigterm_handler)
    flower.start_http_server()
    try:
        flower.start()
    finally:
        flower.stop()


def make_flower(env: Environment) -> Flower:
    """Build Flower around the journal of a Redis."""
    url = env.redis_url.get_secret_value()
    app = celery_app(url)
    events = JobEvents(
        app,
        IOLoop.current(),
        enable_events=False,
        max_tasks_in_memory=options.max_tasks,
        max_workers_in_memory=options.max_workers,
        redis=open_redis(url),
        gateway=env.public_url or f"http://{env.host}:{env.port}",
    )
    flower = Flower(capp=app, options=options, events=events, **flower_settings)
    flower.add_handlers(r".*", HANDLERS)
    return flower


def _refuse(*lines: str) -> None:
    sys.stderr.writelines(f"{line}\n" for line in lines)
    sys.exit(2)


if __name__ == "__main__":
    main()
