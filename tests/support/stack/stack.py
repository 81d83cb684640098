"""A whole Darkroom for one test: its own Redis, simulator, worker and gateway processes, and client."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path

import httpx
from simulator.server.server import Simulator

from contract.redis.client import open_redis
from contract.settings.loader import Settings, load_settings
from contract.store.job_reader import JobReader
from producer.client.client import Darkroom
from producer.stack.ports import free_port
from producer.tokens import Right, Tokens
from tests.support.network.fake_network import Network
from tests.support.process.fork_server import ForkedProcess, Start, can_fork, fork, spawn
from tests.support.stack.redis_server import RealRedis

Process = subprocess.Popen[bytes] | ForkedProcess
ROOT = str(Path(__file__).parents[3])
DEFAULT_RIGHTS = (Right.READ, Right.SUBMIT)
VERSIONS = {"": (), "1": ("tests.support.process.next_version",)}  # by how far they are ahead: what is imported first
START_S = 20


class NotStarted(AssertionError):
    """A process ended as it started, or took too long; the message is its log."""


class Stack:
    """Everything of one Darkroom; workers are started by the test."""

    def __init__(self, folder: Path, redis: RealRedis, simulator: Simulator, *, forks: bool = True) -> None:
        """Put it into a folder; `forks` off lets each process import for itself, as one that is measured must."""
        self.forks = forks
        self.folder = folder
        self.redis = redis
        self.simulator = simulator
        self.config = folder / "config.json"
        self.environment = {"DARKROOM_REDIS_URL": redis.url, "DARKROOM_RETRY_SECONDS": "0.05"}
        self.workers: list[Process] = []
        self.gateways: list[Process] = []
        self._gateway_at: dict[str, Process] = {}
        self._starts = itertools.count()
        self._starting = threading.Lock()
        self.write_config()

    def write_config(
        self,
        provider: str = "openrouter",
        *,
        providers: Mapping[str, Mapping[str, object]] | None = None,
        **image: object,
    ) -> None:
        """Write config.json with the simulator as both providers; `providers` adds to their sections, or replaces."""
        sections: dict[str, dict[str, object]] = {
            "openrouter": {"apiKey": "canary-key", "apiBase": f"{self.simulator.url}/api/v1"},
            "aihubmix": {"apiKey": "canary-key", "apiBase": f"{self.simulator.url}/v1"},
        }
        for name, section in (providers or {}).items():
            sections[name] |= section
        tools = {"imageGeneration": {"provider": provider, **image}}
        agents = {"defaults": {"workspace": str(self.folder / "workspace")}}
        self.config.write_text(json.dumps({"providers": sections, "tools": tools, "agents": agents}))

    def settings(self) -> Settings:
        """Read the settings as the producer would."""
        return load_settings(self.config).with_redis(self.redis.url)

    def client(self, owner: str = "ann") -> Darkroom:
        """Make a client for an owner."""
        return Darkroom(self.settings(), owner=owner)

    async def start_worker(
        self, *, network: Network | None = None, within: Sequence[str] = (), ahead: str = "", **environment: str
    ) -> Process:
        """Start a worker process and wait for its sign of life; `within` is a command that runs it elsewhere.

        It runs in a network of the test if there is one; its version is `ahead` of this one by so many contracts.
        """
        inside = ["tests.support.network.fake_network", network.table(), "--"] if network else []
        # In a thread: importing what is forked takes a while, and the test's own connections would time out.
        worker = await asyncio.to_thread(
            self._start,
            [*inside, "worker"],
            "worker.app",
            self.new_log("worker"),
            environment,
            self.workers,
            ahead=ahead,
            within=within,
        )
        await self.is_working(worker)
        return worker

    async def is_working(self, worker: Process) -> None:
        """Wait for a worker's sign of life. Raises NotStarted."""
        async with open_redis(self.redis.url) as client:
            store = JobReader(client)

            async def is_there() -> bool:
                return any(name.endswith(f"-{worker.pid}") for name in await store.workers(within_s=60))

            await _until(is_there, worker, self.logs)

    def start_command(self, *command: str | Path, of: str = "worker", **environment: str) -> Process:
        """Start a command that becomes a worker, or a gateway, and wait for nothing."""
        process = spawn(command, os.environ | self.environment | environment, self.new_log(of))
        self.workers.append(process)
        return process

    def start_script(self, script: str, **environment: str) -> Process:
        """Start a script that becomes a worker, with `config.json` as its argument, and wait for nothing."""
        log = self.new_log("worker")
        path = log.with_suffix(".py")
        path.write_text(script)
        return self._start([str(path)], "worker.app", log, environment, self.workers)

    def token(self, name: str = "ann", *, user: str | None = None, rights: Collection[Right] = DEFAULT_RIGHTS) -> str:
        """Make a token, by default of a user with the token's name."""
        return Tokens(self.settings().tokens_path).create(name, user=user, rights=frozenset(rights))

    async def start_gateway(self, *, module: str = "producer.api", ahead: str = "", **environment: str) -> str:
        """Start a gateway process, on a free port if none is named, wait until it answers, and tell its address."""
        port = int(environment.get("DARKROOM_PORT") or free_port())
        url = f"http://127.0.0.1:{port}"
        environment = {"DARKROOM_PORT": str(port)} | environment
        log = self.new_log("gateway")
        gateway = await asyncio.to_thread(
            self._start, [module], "producer.api.app", log, environment, self.gateways, ahead=ahead
        )
        self._gateway_at[url] = gateway
        async with httpx.AsyncClient() as client:
            await _until(lambda: _is_alive(client, url), gateway, log.read_text)
        return url

    def gateway_at(self, url: str) -> Process:
        """Find the gateway process that was started last at an address."""
        return self._gateway_at[url]

    def new_log(self, of: str) -> Path:
        """Name the log file of one more process."""
        return self.folder / f"{of}-{next(self._starts)}.log"

    def _start(
        self,
        command: Sequence[str],
        preload: str,
        log: Path,
        environment: dict[str, str],
        started: list[Process],
        *,
        ahead: str = "",
        within: Sequence[str] = (),
    ) -> Process:
        """Start `python -m command config.json`, or a script; what runs here is forked, as its imports take long.

        It is added to `started` here, as the caller may be cancelled meanwhile, and then `stop` has to find it.
        """
        environment = os.environ | self.environment | {"PYTHONPATH": ROOT} | {**environment}
        program, *arguments = *command, str(self.config)
        log.write_bytes(b"")
        with self._starting:
            if self.forks and can_fork(environment) and ahead in VERSIONS and not within:
                files = {"output": str(log), "errors": str(log)}
                start = Start(program=program, arguments=arguments, environment=environment, **files)
                process: Process = fork(preload, start, first=VERSIONS[ahead])
            else:
                python = [*within, sys.executable, *([] if "/" in program else ["-m", *_version(ahead)])]
                process = spawn([*python, program, *arguments], environment, log)
            started.append(process)
        return process

    def stop(self) -> None:
        """End all processes, also one that is being started."""
        with self._starting:
            self.end(*self.workers, *self.gateways)

    def end(self, *processes: Process) -> None:
        """Kill processes with all that they started."""
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def logs(self, of: str = "worker") -> str:
        """Read what the workers or gateways logged, one after another as they were started."""
        logs = sorted(self.folder.glob(f"{of}-*.log"), key=lambda log: int(log.stem.rpartition("-")[2]))
        return "".join(log.read_text() for log in logs)

    async def says(self, of: str, words: str, *, times: int = 1) -> list[str]:
        """Wait until a log has some lines, as a regular expression, and list them."""
        async with asyncio.timeout(20):
            while len(found := [line for line in self.logs(of).splitlines() if re.search(words, line)]) < times:
                await asyncio.sleep(0.05)
        return found

    async def called(self, number: int) -> None:
        """Wait until the provider has been called so many times."""
        async with asyncio.timeout(20):
            while len(self.simulator.ledger) < number:
                await asyncio.sleep(0.02)


async def _until(is_there: Callable[[], Awaitable[bool]], process: Process, said: Callable[[], str]) -> None:
    """Wait until a process does what it is for. Raises NotStarted."""
    try:
        async with asyncio.timeout(START_S):
            while not await is_there():
                if process.poll() is not None:
                    raise NotStarted(f"it ended ({process.returncode}): {said()}")
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        raise NotStarted(f"it has not started within {START_S} s: {said()}") from error


def _version(ahead: str) -> list[str]:
    return ["tests.support.process.another_version", ahead, "--"] if ahead else []


async def _is_alive(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(f"{url}/livez")).status_code == 200
    except httpx.TransportError:
        return False
