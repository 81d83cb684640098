"""One run of a command: find the stack, do the work, turn errors into words and exit codes.

Exit codes: 0 done, 1 job failed, 2 usage or configuration, 3 cancelled, 4 no such job,
69 Redis cannot be used, 124 time-out, 130 Ctrl-C.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NoReturn

from contract.errors.catalogue.configuration import MISSING_API_KEY
from contract.errors.catalogue.queue import QUEUE_FULL, QUEUE_UNAVAILABLE
from contract.errors.catalogue.request import JOB_NOT_FOUND, REFERENCE_NOT_FOUND, REFERENCE_OUTSIDE_ROOTS
from contract.errors.exceptions import ConfigInvalid, DarkroomError, Refused, Unavailable
from contract.jobs.job import Job, JobState
from contract.redis.failure import cause_of
from contract.settings.loader import Settings, config_path, load_settings
from contract.settings.running_stack import Running, find_running
from producer.cli import terminal
from producer.client.client import Darkroom
from producer.client.owner_client import OwnerClient
from producer.error_catalogue import UNKNOWN_MODEL
from producer.tokens import default_owner

EXIT_BY_STATE = {JobState.SUCCEEDED: 0, JobState.FAILED: 1, JobState.EXPIRED: 1, JobState.CANCELLED: 3}
TIMED_OUT, INTERRUPTED = 124, 130
LEAVE_S = 1.0  # Ctrl-C is answered, whatever the waiting is in the midst of
SECOND_THOUGHT_S = 2.0
NO_KEY = "`darkroom up --demo` needs no key; README has an example under `Use a real key`."
NO_FILE = "`darkroom config init` writes an example; `darkroom up --demo` needs no key."
OTHER_PROVIDER = "To keep nanobot's provider, write another config.json and set DARKROOM_CONFIG or --config to it."
NO_REFERENCE = (
    "Any image file that you can read is accepted; a relative path starts in {here}, or in the workspace, {workspace}."
)
HINTS = {
    REFERENCE_NOT_FOUND.code: "`darkroom list` shows your jobs, `darkroom status JOB` its images; a path works too.",
    MISSING_API_KEY.code: "`darkroom up --demo` needs no key.",
    QUEUE_FULL.code: "`darkroom doctor` shows how much memory Redis uses.",
    QUEUE_UNAVAILABLE.code: "Start everything with `darkroom up`, or find the cause with `darkroom doctor`.",
    JOB_NOT_FOUND.code: "`darkroom list` shows your jobs; --owner selects another owner.",
}


def adopt_running_stack() -> Running | None:
    """Use the stack that runs from this configuration, unless told otherwise; answer where it is."""
    running = find_running(config_path().parent / "darkroom")
    if running is None or os.environ.get("DARKROOM_REDIS_URL"):
        return None
    os.environ["DARKROOM_CONFIG"] = running.config
    os.environ["DARKROOM_REDIS_URL"] = running.redis_url
    return running


def with_darkroom(
    owner: str | None,
    work: Callable[[OwnerClient], Awaitable[int]],
    *,
    needs_keys: bool = False,
    roots: tuple[Path, ...] = (),
) -> NoReturn:
    """Do some work with the queue, then exit; reference images may also lie below `roots`.

    Keys are needed only where jobs are submitted and no running stack has them.
    """
    needs_keys = adopt_running_stack() is None and needs_keys
    try:
        settings = load_settings(needs_keys=needs_keys)
    except DarkroomError as error:
        fail(error)
    settings = settings if needs_keys else settings.without_keys()

    async def session() -> int:
        async with Darkroom(settings, owner=owner or default_owner(), roots=roots) as darkroom:
            return await work(darkroom)

    run(session, settings)


def run(work: Callable[[], Awaitable[int]], settings: Settings | None = None) -> NoReturn:
    """Run async work to its exit code; with `settings`, hints name the user's own paths and models."""

    async def awaited() -> int:
        return await work()

    try:
        sys.exit(asyncio.run(awaited()))
    except DarkroomError as error:
        fail(error, settings)
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(INTERRUPTED)


def fail(error: DarkroomError, settings: Settings | None = None) -> NoReturn:
    """Print what is wrong and how to fix it, and exit."""
    lines = [error.detail]
    if isinstance(error, ConfigInvalid):
        lines = [str(problem) for problem in error.problems]
    elif isinstance(error, Refused):
        lines = [one.detail for one in (error, *error.others)]
    for line in lines:
        terminal.err.print(f"Error: {line}", markup=False)
    if error.__cause__ and isinstance(error, Unavailable):
        terminal.err.print(f"Cause: Redis {cause_of(error.__cause__).says}.", markup=False)
    hint = _cure(error, settings)
    if hint:
        terminal.err.print(f"Hint: {hint}", markup=False)
    if isinstance(error, Unavailable):
        sys.exit(69)
    if error.code == JOB_NOT_FOUND.code:
        sys.exit(4)
    sys.exit(2 if isinstance(error, Refused) else 1)


def _cure(error: DarkroomError, settings: Settings | None) -> str:
    """Tell what to do about an error, unless its sentence has said it already."""
    if not isinstance(error, ConfigInvalid):
        return _cure_here(error, settings) or HINTS.get(error.code) or error.kind.hint
    paths = {problem.path for problem in error.problems}
    if "tools.imageGeneration.provider" in paths:
        return OTHER_PROVIDER
    if any(path.endswith(".apiKey") or path == str(config_path().absolute()) for path in paths):
        return NO_KEY if config_path().exists() else f"There is no {config_path()}. {NO_FILE}"
    return ""


def _cure_here(error: DarkroomError, settings: Settings | None) -> str:
    """Tell what this machine and its configuration have instead of what was asked for."""
    if settings is not None and (error.code == REFERENCE_OUTSIDE_ROOTS.code or "path" in error.values):
        return NO_REFERENCE.format(here=Path.cwd(), workspace=settings.workspace)
    if settings is not None and error.code == UNKNOWN_MODEL.code:
        known = [f"{name} has {' and '.join(settings.models(name)) or 'none'}" for name in settings.provider_names]
        return f"{'; '.join(known)}. DARKROOM_MODELS adds more."
    return ""


async def wait(
    darkroom: OwnerClient, job: Job, *, timeout_s: float | None, show: Callable[[Job], None], quiet: bool
) -> int:
    """Wait for a job, with progress unless `quiet`; `show` it at its end.

    A first Ctrl-C leaves the job to itself and says how to come back; a second one cancels it.
    """
    pressed = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, pressed.set)
    waiting = asyncio.ensure_future(darkroom.wait(job.id) if quiet else terminal.follow(darkroom, job))
    pressing = asyncio.create_task(pressed.wait())
    try:
        await asyncio.wait({waiting, pressing}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            job = waiting.result()
            show(job)
            return EXIT_BY_STATE[job.state]
        waiting.cancel()
        await asyncio.wait({waiting}, timeout=LEAVE_S)
        terminal.err.print(f"The job goes on. Wait for it with: darkroom wait {job.id}")
        return await _second_thought(darkroom, job, pressed) if pressed.is_set() else TIMED_OUT
    finally:
        pressing.cancel()
        loop.remove_signal_handler(signal.SIGINT)


async def _second_thought(darkroom: OwnerClient, job: Job, pressed: asyncio.Event) -> int:
    terminal.err.print(f"Ctrl-C again within {SECOND_THOUGHT_S:.0f} s cancels it.")
    pressed.clear()
    try:
        async with asyncio.timeout(SECOND_THOUGHT_S):
            await pressed.wait()
    except TimeoutError:
        return INTERRUPTED
    await darkroom.cancel(job.id)
    terminal.err.print("Cancelled.")
    return EXIT_BY_STATE[JobState.CANCELLED]
