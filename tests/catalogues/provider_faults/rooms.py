"""The Darkrooms of the catalogue: each with its own Redis, simulator and worker, and times scaled down by settings."""

from __future__ import annotations

import asyncio
import io
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from simulator.server.server import Simulator

from contract.redis.client import open_redis
from producer.client.client import Darkroom
from tests.support.network.certificates import Certificates
from tests.support.network.fake_network import Network
from tests.support.stack.redis_server import MEMORY, RealRedis
from tests.support.stack.stack import Process, Stack

KEY, PROMPT = "canary-key", "canary-prompt"
PUBLIC = "93.184.215.14"
API, CDN, REBINDING = "openrouter.sim.test", "cdn.sim.test", "rebinding.sim.test"
NAMES = {
    API: [[PUBLIC]],
    CDN: [[PUBLIC]],
    REBINDING: [[PUBLIC], ["127.0.0.1"]],
    "private.sim.test": [["10.0.0.1"]],
    "both.sim.test": [[PUBLIC, "10.0.0.1"]],
    "both6.sim.test": [[PUBLIC, "fd00::1"]],
    "servfail.sim.test": [["SERVFAIL"]],
}

# A slow machine needs seconds for a good answer: times are short only where a row is about them.
CALM = {
    **{"RETRY_SECONDS": 0.02, "BREAKER_SECONDS": 0.2, "CONCURRENCY": 4, "DEADLINE_SECONDS": 120},
    **{"ATTEMPT_TIMEOUT_SECONDS": 20, "IDLE_SECONDS": 5, "CONNECT_SECONDS": 5},
}
KINDS: dict[str, dict[str, float]] = {
    "calm": CALM,
    "swift": {**CALM, "ATTEMPT_TIMEOUT_SECONDS": 2.5, "IDLE_SECONDS": 1},
    "upload": {**CALM, "IDLE_SECONDS": 1.5},
    "internet": {**CALM, "ATTEMPT_TIMEOUT_SECONDS": 10, "IDLE_SECONDS": 1.5},
    "hub": CALM,
    "door": CALM,
}
SILENT_DOORS = ("never_accepts", "never_handshakes")
KNOCK_S = 0.5
KEYS_AT_ONCE = 5000  # of one step through all keys: a Darkroom has some thousand at its end
HOW_MANY = {"calm": 4, "swift": 3, "upload": 2, "internet": 2, "hub": 4, "door": 3}


@dataclass(kw_only=True)
class Room:
    """One Darkroom, for one row at a time."""

    stack: Stack
    darkroom: Darkroom
    redis: Redis
    network: Network
    worker: Process

    @property
    def simulator(self) -> Simulator:
        """The provider."""
        return self.stack.simulator

    async def clean(self) -> None:
        """Forget what the provider did, and what the gate learned of it."""
        await self.simulator.reset()
        if breakers := await self.redis.keys("darkroom:gate:*"):
            await self.redis.delete(*breakers)

    async def strings(self, pattern: str = "*") -> str:
        """Read everything in Redis, but for the requests of jobs."""
        keys = [str(key) async for key in self.redis.scan_iter(pattern, count=KEYS_AT_ONCE)]
        async with self.redis.pipeline(transaction=False) as questions:
            for key in keys:
                questions.type(key)
            kinds = await questions.execute()
            for key, kind in zip(keys, kinds, strict=True):
                _ask(questions, key, kind)
            values = await questions.execute()
        return "\n".join(text for key, value in zip(keys, values, strict=True) for text in (key, _shown_of(value)))


def _ask(redis: Pipeline, key: str, kind: str) -> None:
    """Ask for all that a key has."""
    if kind == "hash":
        redis.hgetall(key)
    elif kind == "string":
        redis.get(key)
    elif kind == "list":
        redis.lrange(key, 0, -1)
    elif kind == "set":
        redis.smembers(key)
    elif kind == "stream":
        redis.xrange(key)
    else:
        redis.zrange(key, 0, -1)


def _shown_of(value: object) -> str:
    """Write a value down, without the request of a job."""
    if isinstance(value, dict):
        return str({name: part for name, part in value.items() if name != "request"})
    return str(value)


@asynccontextmanager
async def open_room(kind: str, door: str = "", **settings: float) -> AsyncIterator[Room]:
    """Open a Darkroom with a running worker; a `door` is what is wrong with the way to its provider."""
    async with AsyncExitStack() as resources:
        folder = Path(resources.enter_context(TemporaryDirectory(prefix="dr-", dir=MEMORY)))
        certificates = Certificates(folder)
        redis = RealRedis(folder)
        await asyncio.to_thread(redis.start)
        resources.callback(redis.kill)
        shown = _shown(certificates, door)
        public = f"https://{CDN}:443"  # by the name that the network leads here
        simulator = await resources.enter_async_context(Simulator(seconds=0, tls=shown, public_tls_url=public))
        stack = Stack(folder, redis, simulator)
        resources.callback(stack.stop)
        await asyncio.to_thread(_lay_reference, folder / "workspace")
        network = Network(log=folder / "net.log", names=NAMES, routes={f"{PUBLIC}:443": simulator.tls_port})
        await _configure(stack, kind, door)
        stack.environment = {"DARKROOM_REDIS_URL": redis.url}
        knock = {"CONNECT_SECONDS": KNOCK_S} if door in SILENT_DOORS else {}
        values = {**KINDS[kind], **knock, **settings}
        environment = {f"DARKROOM_{name}": str(value) for name, value in values.items()}
        worker = await stack.start_worker(network=network, SSL_CERT_FILE=str(certificates.file), **environment)
        yield Room(
            stack=stack,
            darkroom=await resources.enter_async_context(stack.client()),
            redis=await resources.enter_async_context(open_redis(redis.url)),
            network=network,
            worker=worker,
        )


@cache
def _large() -> bytes:
    """Make a picture that is large to send: nine megabytes as base64."""
    data = io.BytesIO()
    Image.frombytes("L", (2600, 2600), random.Random(0).randbytes(2600 * 2600)).save(data, "PNG", compress_level=0)
    return data.getvalue()


def _lay_reference(workspace: Path) -> None:
    workspace.mkdir()
    (workspace / "large.png").write_bytes(_large())


def _shown(certificates: Certificates, door: str) -> ssl.SSLContext:
    """Choose what the provider shows."""
    if door == "self_signed":
        return certificates.self_signed()
    if door == "wrong_host":
        return certificates.good("other.sim.test")
    issue = {"expired": certificates.expired, "foreign": certificates.foreign}.get(door, certificates.good)
    return issue(API, CDN, REBINDING)


async def _configure(stack: Stack, kind: str, door: str) -> None:
    """Write the configuration, with the way to the provider."""
    if kind == "hub":
        stack.write_config("aihubmix", model="openai/gpt-image-1")
        return
    base = f"https://{API}" if kind in ("internet", "door") else stack.simulator.url
    if door in ("refused", "never_accepts", "accept_and_close", "accept_and_reset", "banner"):
        base = f"http://127.0.0.1:{await stack.simulator.port_of(door)}"
    elif door in ("never_handshakes", "tls_alert", "plain_http"):
        base = f"https://127.0.0.1:{await stack.simulator.port_of(door)}"
    elif door in ("nxdomain", "servfail"):
        base = f"https://{door}.sim.test"
    stack.write_config(providers={"openrouter": {"apiBase": f"{base}/api/v1"}})


class Rooms:
    """Lends rooms: of each kind there are some, opened when they are first needed."""

    def __init__(self, resources: AsyncExitStack) -> None:
        self._stack = resources
        self._places = {kind: asyncio.Semaphore(number) for kind, number in HOW_MANY.items()}
        self._free: dict[str, list[Room]] = {kind: [] for kind in HOW_MANY}
        self._opening = asyncio.Semaphore(2)  # as many as a small machine has processors
        self.all: list[Room] = []

    @asynccontextmanager
    async def lend(self, kind: str, door: str = "") -> AsyncIterator[Room]:
        """Lend a room that nobody else uses; one with a door is used once."""
        async with self._places[kind]:
            if kind == "door":
                async with open_room(kind, door) as room:
                    yield room
                return
            room = self._free[kind].pop() if self._free[kind] else await self._open(kind)
            try:
                yield room
            finally:
                self._free[kind].append(room)

    async def _open(self, kind: str) -> Room:
        async with self._opening:
            room = await self._stack.enter_async_context(open_room(kind))
            self.all.append(room)
            return room
