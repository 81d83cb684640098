"""One campaign: everything is started, the storm comes and goes, what is left is gathered."""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from redis.exceptions import RedisError

from contract.redis.client import open_redis
from contract.store.job_reader import JobReader
from tests.chaos.arena.crew import Member
from tests.chaos.arena.journal import Journal
from tests.chaos.arena.orders import Order, read_orders, write_orders
from tests.chaos.arena.storm import Gust
from tests.chaos.arena.witness import Witness
from tests.chaos.verdict.evidence import Evidence, Held, find_calls, find_jobs, find_pairs
from tests.support.network.proxy import Proxy
from tests.support.stack.redis_server import RealRedis
from tests.support.store.lossy_redis import MODES, LossyRedis, Mode, names_by_digest

ROOT = Path(__file__).parents[3]
SLOW_S = (0.3, 0.2)  # latency and jitter
LOST = 0.25  # of the answers to scripts
HOLDS_S = {"part_provider": math.inf, "slow_provider": sum(SLOW_S) + 0.1}  # how long a call may be on its way
INDEXES = ("queued", "waiting", "parked", "running")


@dataclass(frozen=True, slots=True, kw_only=True)
class Struck:
    """A gust that came: when, whom, and when it was over (wall clock)."""

    gust: Gust
    at: float
    over: float
    pid: int = 0


@dataclass(kw_only=True)
class Arena:
    """Where a campaign takes place."""

    folder: Path
    seed: int
    workers: int
    knobs: dict[str, str]
    say: Callable[[str], None]
    crew: list[Member] = field(default_factory=list)
    links: list[Proxy] = field(default_factory=list)  # each worker's own way to Redis, and the gateway's behind them
    struck: list[Struck] = field(default_factory=list)
    provider_url: str = ""
    redis_trouble: asyncio.Lock = field(default_factory=asyncio.Lock)  # one at a time
    started: float = 0.0
    redis: RealRedis = field(init=False)
    provider_link: Proxy = field(init=False)
    lossy: LossyRedis = field(init=False)
    witness: Witness = field(init=False)
    _provider: asyncio.subprocess.Process = field(init=False)

    @asynccontextmanager
    async def open(self, orders: Sequence[Order]) -> AsyncIterator[None]:
        """Start Redis, provider, proxies, workers and gateway; end them all afterwards."""
        async with AsyncExitStack() as stack:
            (self.folder / "redis").mkdir()
            self.redis = RealRedis(self.folder / "redis")
            await asyncio.to_thread(self.redis.start)
            stack.callback(self.redis.kill)
            stack.push_async_callback(self._stop_members)
            provider = await self._start_provider()
            dice = Random(f"jitter {self.seed}")
            self.provider_link = await stack.enter_async_context(Proxy(to=provider, dice=dice))
            self.lossy = await stack.enter_async_context(LossyRedis(self.redis.socket, names_by_digest()))
            self.lossy.lose_some(_fate(Random(f"answers {self.seed}")))
            for _ in range(self.workers + 1):
                self.links.append(await stack.enter_async_context(Proxy(to=self.redis.socket, dice=dice)))
            self.started = time.time()
            write_orders(self.folder / "orders.jsonl", orders)
            self._hire()
            self.witness = Witness(media=self.folder / "media")
            watching = asyncio.create_task(self.witness.watch())
            try:
                yield
            finally:
                watching.cancel()
                await asyncio.wait({watching})

    def _hire(self) -> None:
        """Start the workers, and the gateway after them."""
        config = self._config()
        urls = [f"redis://127.0.0.1:{link.port}/0" for link in self.links]
        for index, redis_url in enumerate(urls[: self.workers]):
            self._enlist(f"worker-{index}", "-m", "worker", str(config), **self.knobs, DARKROOM_REDIS_URL=redis_url)
        names = [str(self.folder / name) for name in ("orders.jsonl", "journal.jsonl")]
        gateway = ("-m", "tests.chaos.arena.gateway", str(config), *names, str(self.started))
        self._enlist("gateway", *gateway, DARKROOM_REDIS_URL=urls[self.workers])

    @property
    def gateway(self) -> Member:
        """The process that hands orders in."""
        return self.crew[-1]

    def _config(self) -> Path:
        path = self.folder / "config.json"
        base = f"http://127.0.0.1:{self.provider_link.port}"
        provider = {"apiKey": "sk-or-chaos", "apiBase": f"{base}/api/v1"}
        agents = {"defaults": {"workspace": str(self.folder / "workspace")}}
        path.write_text(json.dumps({"providers": {"openrouter": provider}, "agents": agents}))
        return path

    def _enlist(self, name: str, *command: str, **environment: str) -> None:
        path = str(ROOT)
        member = Member(
            name=name,
            command=(sys.executable, *command),
            environment={"PYTHONPATH": path, "HOME": str(self.folder), **environment},
            log=self.folder / f"{name}.log",
        )
        self.crew.append(member)
        member.start()

    async def _start_provider(self) -> str:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.chaos.arena.provider", str(self.seed), "0"),
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
        )
        self._provider = process
        assert process.stdout is not None
        self.provider_url = json.loads(await process.stdout.readline())["url"]
        return self.provider_url.removeprefix("http://")

    async def _stop_members(self) -> None:
        await asyncio.gather(*(member.stop() for member in self.crew))
        self._provider.terminate()
        await self._provider.wait()

    async def endure(self, gusts: Sequence[Gust]) -> None:
        """Let a storm come: each gust at its time, whatever the ones before are still at."""
        async with asyncio.TaskGroup() as group:
            for gust in gusts:
                await asyncio.sleep(max(0.0, self.started + gust.at - time.time()))
                group.create_task(self._strike(gust))

    async def _strike(self, gust: Gust) -> None:
        at, pid = time.time(), 0
        if gust.kind in ON_WORKERS:
            member = self.crew[gust.worker]
            if member.process is None or member.process.returncode is not None:
                return
            pid = member.process.pid
        await STRIKES[gust.kind](self, gust)
        self.struck.append(Struck(gust=gust, at=at, over=time.time(), pid=pid))

    async def settle(self, *, within_s: float) -> bool:
        """Wait until all orders have their answers and no job is left to do; tell whether that came about."""
        try:
            async with asyncio.timeout(within_s):
                await self.gateway.done()
                async with open_redis(self.redis.url, timeout_s=30) as client:
                    while any([await client.zcard(f"darkroom:{index}") for index in INDEXES]):
                        await asyncio.sleep(0.2)
        except TimeoutError:
            return False
        return True

    async def gather(self) -> Evidence:
        """End the crew, so that nothing changes any more, and gather what is left."""
        await asyncio.gather(*(member.stop() for member in self.crew))
        self.witness.look()
        async with open_redis(self.redis.url, timeout_s=30) as client:
            found = await find_jobs(JobReader(client))
        pairs, orphans = find_pairs(self.folder / "media")
        return Evidence(
            orders=read_orders(self.folder / "orders.jsonl"),
            entries=Journal(self.folder / "journal.jsonl").entries(),
            found=found,
            made=await find_calls(self.provider_url),
            pairs=pairs,
            orphans=orphans,
            torn=tuple(self.witness.torn),
            held=[
                Held(at=struck.at, over=struck.over, most_s=HOLDS_S[struck.gust.kind])
                for struck in self.struck
                if struck.gust.kind in HOLDS_S
            ],
        )


async def _kill_worker(arena: Arena, gust: Gust) -> None:
    arena.crew[gust.worker].signal(signal.SIGKILL, whole_group=True)


async def _kill_main(arena: Arena, gust: Gust) -> None:
    arena.crew[gust.worker].signal(signal.SIGKILL)


async def _kill_reader(arena: Arena, gust: Gust) -> None:
    arena.crew[gust.worker].kill_child()


async def _arm(arena: Arena, gust: Gust) -> None:
    """Kill a worker; its next life ends, or freezes, at a named place."""
    member = arena.crew[gust.worker]
    member.next_failpoint = gust.failpoint
    member.signal(signal.SIGKILL, whole_group=True)
    if gust.seconds:
        await asyncio.sleep(gust.seconds)
        member.signal(signal.SIGCONT, whole_group=True)


async def _stop_worker(arena: Arena, gust: Gust) -> None:
    arena.crew[gust.worker].signal(signal.SIGTERM)


async def _freeze_worker(arena: Arena, gust: Gust) -> None:
    member = arena.crew[gust.worker]
    member.signal(signal.SIGSTOP, whole_group=True)
    await asyncio.sleep(gust.seconds)
    member.signal(signal.SIGCONT, whole_group=True)


async def _part_worker(arena: Arena, gust: Gust) -> None:
    arena.links[gust.worker].black_hole()
    await asyncio.sleep(gust.seconds)
    arena.links[gust.worker].heal()


async def _kill_redis(arena: Arena, gust: Gust) -> None:
    async with arena.redis_trouble:
        await asyncio.to_thread(arena.redis.kill)
        await asyncio.sleep(gust.seconds)
        await asyncio.to_thread(arena.redis.start)


async def _freeze_redis(arena: Arena, gust: Gust) -> None:
    async with arena.redis_trouble:
        arena.redis.signal(signal.SIGSTOP)
        await asyncio.sleep(gust.seconds)
        arena.redis.signal(signal.SIGCONT)


async def _command_redis(arena: Arena, *command: str) -> None:
    try:
        async with open_redis(arena.redis.url) as client:
            await client.execute_command(*command)  # type: ignore[no-untyped-call]
    except RedisError:
        arena.say(f"{' '.join(command)}: Redis is away just now")


async def _drop_redis_clients(arena: Arena, gust: Gust) -> None:
    await _command_redis(arena, "CLIENT", "KILL", "TYPE", "normal")


async def _flush_scripts(arena: Arena, gust: Gust) -> None:
    await _command_redis(arena, "SCRIPT", "FLUSH")


async def _lose_answers(arena: Arena, gust: Gust) -> None:
    links = (arena.links[gust.worker], arena.links[arena.workers])
    for link in links:
        link.lead(f"127.0.0.1:{arena.lossy.port}")
    await asyncio.sleep(gust.seconds)
    for link in links:
        link.lead(arena.redis.socket)


def _fate(dice: Random) -> Callable[[str], Mode | None]:
    return lambda _: dice.choice(MODES) if dice.random() < LOST else None


async def _kill_gateway(arena: Arena, gust: Gust) -> None:
    arena.gateway.signal(signal.SIGKILL)


async def _reset_provider(arena: Arena, gust: Gust) -> None:
    arena.provider_link.reset()


async def _part_provider(arena: Arena, gust: Gust) -> None:
    arena.provider_link.black_hole()
    await asyncio.sleep(gust.seconds)
    arena.provider_link.heal()


async def _slow_provider(arena: Arena, gust: Gust) -> None:
    arena.provider_link.latency(*SLOW_S)
    arena.provider_link.slice(1000, 0.002)
    await asyncio.sleep(gust.seconds)
    arena.provider_link.heal()


STRIKES: dict[str, Callable[[Arena, Gust], Awaitable[None]]] = {
    "kill_worker": _kill_worker,
    "kill_main": _kill_main,
    "kill_reader": _kill_reader,
    "failpoint": _arm,
    "freeze_at_failpoint": _arm,
    "stop_worker": _stop_worker,
    "freeze_worker": _freeze_worker,
    "part_worker": _part_worker,
    "kill_redis": _kill_redis,
    "freeze_redis": _freeze_redis,
    "drop_redis_clients": _drop_redis_clients,
    "flush_scripts": _flush_scripts,
    "lose_answers": _lose_answers,
    "kill_gateway": _kill_gateway,
    "reset_provider": _reset_provider,
    "part_provider": _part_provider,
    "slow_provider": _slow_provider,
}
ON_WORKERS = frozenset(kind for kind in STRIKES if kind.endswith(("worker", "main", "reader", "failpoint")))
