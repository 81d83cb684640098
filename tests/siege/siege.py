"""The course of a siege: everything is started, one abuse follows another, and each is judged for itself."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from simulator.server.server import Simulator

from contract.redis.client import open_redis
from contract.store.keys import owner_key
from tests.siege.abuses.images import LARGE
from tests.siege.abuses.table import ABUSES
from tests.siege.memory import Watch
from tests.siege.report import Phase, Waited, is_slow
from tests.support.stack.redis_server import running_redis
from tests.support.stack.stack import Stack

TENANTS = 10
QUIET_S, ABUSE_S, PAUSE_S = 12.0, 5.0, 1.0
QUIET = "nothing"
MOST_MEMORY = "256mb"  # of Redis, as in compose
SIDE = 6200  # 38 megapixels


class Siege:
    """One Darkroom with its tenants; abuses come one after another."""

    def __init__(self, stack: Stack, ports: Sequence[int], watch: Watch) -> None:
        self._stack, self._ports, self._watch = stack, list(ports), watch
        self._waited: list[Waited] = []
        self._tokens = {owner: stack.token(owner) for name in ABUSES for owner in _owners(name)}

    @asynccontextmanager
    async def tenants(self) -> AsyncIterator[None]:
        """Let ten tenants live."""
        tokens = [self._stack.token(f"tenant-{number}") for number in range(TENANTS)]
        async with _process("tests.siege.tenants", json.dumps({"ports": self._ports, "tokens": tokens})) as process:
            listening = asyncio.create_task(self._listen(process))
            yield
            assert process.stdin is not None
            process.stdin.close()
            await listening

    async def _listen(self, process: Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            self._waited.append(Waited(**json.loads(line)))

    async def rest(self, seconds: float) -> Phase:
        """Let nobody abuse anything for a while."""
        return await self._phase(QUIET, seconds, {})

    async def abuse(self, name: str, seconds: float, *, again: bool = False) -> Phase:
        """Let one abuse go on for a while; once more by another owner, whose rates are not spent."""
        owner = _owners(name)[again]
        wishes = {"ports": self._ports, "token": self._tokens[owner], "folder": str(self._stack.folder)}
        did: dict[str, int] = {}
        async with _process("tests.siege.abuser", name, json.dumps(wishes)) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert json.loads(await process.stdout.readline() or '"it ended"') == "ready", name
            phase = await self._phase(name, seconds, did)
            process.stdin.close()
            did |= json.loads(await process.stdout.readline() or "{}")
        await self._clear(owner)
        return phase

    async def _clear(self, owner: str) -> None:
        """Cancel what the abuser left, so that the next abuse is judged for itself."""
        async with self._stack.client(owner) as client, open_redis(self._stack.redis.url) as redis:
            for job in await redis.zrevrange(owner_key(owner, "active"), 0, -1):
                await client.cancel(str(job))

    async def _phase(self, name: str, seconds: float, did: dict[str, int]) -> Phase:
        self._watch.take()
        begin = time.time()
        await asyncio.sleep(seconds)
        return Phase(name, begin, time.time(), [], did, self._watch.take())

    def found(self, phase: Phase) -> Phase:
        """Add what the tenants waited for."""
        waited = [each for each in self._waited if phase.begin <= each.at < phase.end]
        return Phase(phase.name, phase.begin, phase.end, waited, phase.did, phase.peaks)


@asynccontextmanager
async def open_siege(folder: Path, *, gateways: int, workers: int) -> AsyncIterator[Siege]:
    """Start everything as compose would, and stop it."""
    async with AsyncExitStack() as ends:
        folder.mkdir(exist_ok=True)
        redis = ends.enter_context(running_redis())
        provider = await ends.enter_async_context(_process("tests.siege.provider"))
        assert provider.stdout is not None
        base = f"http://127.0.0.1:{json.loads(await provider.stdout.readline())}/api/v1"
        stack = Stack(folder, redis, Simulator(), forks=False)
        ends.callback(stack.stop)
        stack.write_config(providers={"openrouter": {"apiBase": base}})
        (folder / "tmp").mkdir()
        stack.environment |= {"HOME": str(folder), "TMPDIR": str(folder / "tmp")}
        (folder / "darkroom.env").write_text("DARKROOM_WEBHOOK_NETWORKS=127.0.0.0/8\n")
        Image.new("RGB", (SIDE, SIDE), "navy").save(folder / LARGE, "WEBP", lossless=True, method=0)
        client = await ends.enter_async_context(open_redis(redis.url))
        await client.config_set("maxmemory", MOST_MEMORY)
        stack.token("first")
        urls = await asyncio.gather(
            *(stack.start_gateway() for _ in range(gateways)), *(stack.start_worker() for _ in range(workers))
        )
        ports = [int(url.rpartition(":")[2]) for url in urls if isinstance(url, str)]
        pids = {"gateway": [each.pid for each in stack.gateways], "worker": [each.pid for each in stack.workers]}
        watch = Watch(pids, client)
        watching = asyncio.create_task(watch.keep())
        ends.callback(watching.cancel)
        siege = Siege(stack, ports, watch)
        async with siege.tenants():
            yield siege


async def besiege(
    folder: Path, names: Sequence[str], *, gateways: int, workers: int, seconds: float, say: Callable[[str], Any]
) -> list[Phase]:
    """Go through abuses; the first phase is without any.

    Two processors are shared by all that is measured and by what measures it: where tenants waited too long, and
    nothing else was wrong, the abuse is tried once more, and counts as it goes then.
    """
    async with open_siege(folder, gateways=gateways, workers=workers) as siege:
        await asyncio.sleep(2 * PAUSE_S)  # the first calls are slow
        phases = [await siege.rest(QUIET_S)]
        for name in names:
            say(f"  {name} …")
            phases.append(await siege.abuse(name, seconds))
        await asyncio.sleep(PAUSE_S)
        quiet = siege.found(phases[0])
        for place, phase in enumerate(phases):
            if is_slow(siege.found(phase), quiet):
                say(f"  {phase.name} once more …")
                phases[place] = await siege.abuse(phase.name, seconds, again=True)
    return [siege.found(phase) for phase in phases]


def _owners(name: str) -> tuple[str, str]:
    owner = f"mallory-{name.replace(' ', '-')}"
    return owner, f"{owner}-again"


@asynccontextmanager
async def _process(module: str, *arguments: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, stdin=PIPE, stdout=PIPE, limit=2**24
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
