"""A worker that cannot work ends with an exit code that says so; one whose Redis is ill or away lives on."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from redis import Redis

from contract.jobs.job import JobState
from tests.support.lacking import redis_program
from tests.support.network.redis_outages import counted_redis
from tests.support.stack.stack import Process, Stack

GIVEN_UP = os.EX_SOFTWARE
MISCONFIGURED = 2
TRACEBACK = "Traceback"
# Runs `python -m worker CONFIG` with something wrong in it, and with a watchdog that looks every 0.2 s.
LAUNCHER = """
import os, runpy, sys, time
import kombu.transport.redis, worker.process.sweeper, worker.process.watchdog
worker.process.watchdog.LOOK_S = 0.2
async def sweep(self):
    {sweep}
{setup}
runpy.run_module("worker", run_name="__main__", alter_sys=True)
"""
ILL_SWEEPER = "worker.process.sweeper.Sweeper.sweep = sweep"
NOT_CONSUMING = "kombu.transport.redis.Channel._brpop_start = lambda self, timeout=None: None"

pytestmark = pytest.mark.real_redis


def launch(stack: Stack, *, setup: str = "", sweep: str = "pass", **environment: str) -> Process:
    return stack.start_script(LAUNCHER.format(setup=setup, sweep=sweep), **environment)


async def end_of(worker: Process, *, within_s: float = 12) -> int:
    """Wait for a worker's exit code."""
    return await asyncio.to_thread(worker.wait, within_s)


def command(redis_url: str, *words: str) -> None:
    """Tell a server something."""
    with Redis.from_url(redis_url) as client:
        client.execute_command(*words)


async def succeeds(stack: Stack, *, within_s: float = 10) -> None:
    """Run one job."""
    async with stack.client() as darkroom:
        job = await darkroom.submit(prompt="a fox")
        assert (await darkroom.wait(job.id, timeout_s=within_s)).state is JobState.SUCCEEDED


def break_config(stack: Stack) -> None:
    stack.config.write_text("{")


def block_media(stack: Stack) -> None:
    (stack.folder / "media").write_text("not a directory")


def restrict(stack: Stack, *, rules: str = "", login: str = "ann:canary-word@") -> None:
    """Let a user of Redis do less than a worker must, and have the worker log in as them, or as somebody else."""
    command(stack.redis.url, "ACL", "SETUSER", "ann", "on", ">canary-word", "~*", "&*", "+@all", *rules.split())
    command(stack.redis.url, "ACL", "SETUSER", "default", "resetpass", ">another-word")
    stack.environment["DARKROOM_REDIS_URL"] = stack.redis.url.replace("unix://", f"unix://{login}")


@pytest.mark.parametrize(
    ("ruin", "code", "words"),
    [
        (break_config, MISCONFIGURED, "is not valid JSON"),
        (block_media, MISCONFIGURED, "media: cannot be written to: "),
        (partial(restrict, login=""), MISCONFIGURED, "Redis refuses: "),
        (partial(restrict, login="ann:canary-slip@"), MISCONFIGURED, "Redis refuses: invalid username-password pair"),
        (partial(restrict, rules="-evalsha"), MISCONFIGURED, "permissions to run the 'evalsha' command"),
        (partial(restrict, rules="-zadd"), MISCONFIGURED, "Redis refuses: "),
        (partial(restrict, rules="resetkeys ~other:*"), MISCONFIGURED, "Redis refuses: "),
        (partial(restrict, rules="-brpop"), GIVEN_UP, "permissions to run the 'brpop' command"),
    ],
    ids=["config", "media", "no login", "password", "scripts", "commands", "keys", "bells"],
)
async def test_a_configuration_that_cannot_work_ends_the_worker(
    stack: Stack, ruin: Callable[[Stack], None], code: int, words: str
) -> None:
    ruin(stack)
    assert await end_of(launch(stack)) == code
    said = stack.logs()
    assert words in said
    assert "canary" not in said
    assert (TRACEBACK in said) == (code == GIVEN_UP)


async def test_a_redis_that_is_away_at_the_start_is_waited_for(stack: Stack) -> None:
    async with counted_redis(stack) as redis:
        redis.goes_away()
        worker = redis.start_command("worker")
        await stack.says("worker", "waiting for Redis, which does not answer")
        await redis.is_tried(2)
        redis.comes_back()
        await succeeds(stack)
        worker.terminate()
        assert await end_of(worker) == 0
    assert stack.logs().count("waiting for Redis") == 1


@pytest.mark.parametrize("is_there", [True, False], ids=["at its first sign of life", "while it waits for Redis"])
async def test_a_worker_that_has_just_begun_ends_cleanly_when_it_is_asked_to(stack: Stack, is_there: bool) -> None:
    if is_there:
        worker = await stack.start_worker()
    else:
        stack.redis.kill()
        worker = launch(stack)
        await stack.says("worker", "waiting for Redis")
        stack.redis.start()
    worker.terminate()
    assert await end_of(worker, within_s=5) == 0
    assert TRACEBACK not in stack.logs()


@pytest.mark.parametrize(
    ("ill", "words"),
    [
        ({"setup": ILL_SWEEPER, "sweep": "time.sleep(1000)"}, "gives up: its event loop stands still"),
        ({"setup": ILL_SWEEPER, "sweep": "raise ValueError('cracked')"}, "ValueError: cracked"),
        ({"setup": NOT_CONSUMING}, "gives up: it does not take the doorbells in Redis"),
    ],
    ids=["stuck", "broken", "deaf"],
)
async def test_a_worker_that_cannot_work_any_more_ends_and_the_next_one_does_its_job(
    stack: Stack, ill: dict[str, str], words: str
) -> None:
    async with stack.client() as darkroom:
        job = await darkroom.submit(prompt="a fox")
        assert await end_of(launch(stack, **ill)) == GIVEN_UP
        assert words in stack.logs()
        await stack.start_worker(DARKROOM_LEASE_SECONDS="5")
        assert (await darkroom.wait(job.id, timeout_s=12)).state is JobState.SUCCEEDED


async def test_a_worker_whose_very_log_stands_still_ends_all_the_same(stack: Stack) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER.format(setup=ILL_SWEEPER, sweep="os.write(2, bytes(2**20))"), stack.config],
        env=os.environ | stack.environment,
        stderr=subprocess.PIPE,
    )
    stack.workers.append(worker)
    assert await end_of(worker) == -signal.SIGALRM
    assert worker.stderr is not None
    worker.stderr.close()


@pytest.mark.parametrize("who", ["worker", "Redis"])
async def test_a_worker_that_stood_still_itself_or_whose_redis_did_is_not_taken_for_dead(
    stack: Stack, who: str
) -> None:
    worker = launch(stack)
    await succeeds(stack)
    sleeper = worker if who == "worker" else stack.redis.process
    assert sleeper is not None
    sleeper.send_signal(signal.SIGSTOP)
    await asyncio.sleep(2.5)  # twice as long as its watchdog's patience
    sleeper.send_signal(signal.SIGCONT)
    await succeeds(stack)
    assert worker.poll() is None


async def test_one_worker_takes_jobs_again_within_10_s_whatever_redis_went_through(stack: Stack) -> None:
    worker = await stack.start_worker()

    async def restart(pause_s: float) -> None:
        stack.redis.kill()
        await asyncio.sleep(pause_s)
        stack.redis.start()

    async def stop(pause_s: float) -> None:
        assert stack.redis.process is not None
        stack.redis.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(pause_s)
        stack.redis.process.send_signal(signal.SIGCONT)

    async def cut(*kinds: str) -> None:
        for kind in kinds:
            command(stack.redis.url, "CLIENT", "KILL", "TYPE", kind)

    for trouble in (
        partial(restart, 0),
        partial(cut, "normal", "pubsub", "normal"),
        partial(stop, 2),
        partial(restart, 0.5),
        partial(cut, "pubsub"),
    ):
        await trouble()
        await succeeds(stack)
    assert worker.poll() is None


async def test_when_celery_breaks_down_running_jobs_get_their_time_and_the_exit_code_says_so(stack: Stack) -> None:
    worker = await stack.start_worker(DARKROOM_DRAIN_SECONDS="0.5")
    async with stack.client() as darkroom:
        job = await darkroom.submit(prompt="[slow 30] a fox")
        async with asyncio.timeout(10):
            while (await darkroom.get(job.id)).state is not JobState.RUNNING:
                await asyncio.sleep(0.05)
        command(stack.redis.url, "ACL", "SETUSER", "default", "-brpop")
        assert await end_of(worker) == GIVEN_UP
        assert (await darkroom.get(job.id)).state is JobState.QUEUED


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux tells the limits of another process")
async def test_neither_a_worker_nor_its_readers_leave_a_core_dump(stack: Stack) -> None:
    worker = await stack.start_worker()
    await succeeds(stack)
    children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
    assert children
    for pid in (worker.pid, *map(int, children)):
        assert resource.prlimit(pid, resource.RLIMIT_CORE) == (0, 0)


async def test_a_stack_starts_a_worker_again_that_gave_up() -> None:
    redis_program()
    darkroom = Path(sys.executable).parent / "darkroom"
    with TemporaryDirectory(prefix="dr-") as home:
        environment = {"HOME": home, "PATH": os.environ["PATH"], "DARKROOM_PORT": "0"}
        up = await asyncio.create_subprocess_exec(darkroom, "up", "--demo", env=environment, stderr=subprocess.PIPE)
        assert up.stderr is not None
        try:
            async with asyncio.timeout(40):
                while b"Darkroom is up" not in await up.stderr.readline():
                    assert up.returncode is None
                record = json.loads((Path(home) / ".nanobot/darkroom/stack.json").read_text())
                command(record["redis_url"], "ACL", "SETUSER", "default", "-brpop")
                while b"worker ended (70); it is started again" not in await up.stderr.readline():
                    assert up.returncode is None
            command(record["redis_url"], "ACL", "SETUSER", "default", "+brpop")
            generate = await asyncio.create_subprocess_exec(
                darkroom, "generate", "a fox", "--timeout", "30", env=environment, stderr=subprocess.PIPE
            )
            _, said = await generate.communicate()
            assert generate.returncode == 0, said
        finally:
            up.terminate()
            await up.communicate()
