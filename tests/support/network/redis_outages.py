"""The ways in which Redis can be away from a gateway."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tests.support.network.fake_network import Network
from tests.support.network.loopback import loopback_server
from tests.support.network.proxy import Proxy
from tests.support.stack.stack import Process, Stack

ERRORS = {
    "loading": "-LOADING Redis is loading the dataset in memory",
    "wrong password": "-WRONGPASS invalid username-password pair or user is disabled.",
    "no password": "-NOAUTH Authentication required.",
    "read only": "-READONLY You can't write against a read only replica.",
    "full": "-OOM command not allowed when used memory > 'maxmemory'.",
    "nonsense": "HTTP/1.1 400 Bad Request",
}
WAYS = ("killed", "hung", "black hole", "refused", *ERRORS)


class Outages:
    """A Redis behind a proxy, and the ways in which it can be away."""

    def __init__(self, stack: Stack, proxy: Proxy, rogue: str) -> None:
        self.stack, self.proxy, self._rogue = stack, proxy, rogue
        self.error = ""

    def begin(self, what: str) -> None:
        """Let Redis be away."""
        if what in ERRORS:
            self.error = ERRORS[what]
            self.proxy.lead(self._rogue)
        else:
            self._ways()[what][0]()

    def end(self, what: str) -> None:
        """Let it be back."""
        if what in ERRORS:
            self.proxy.lead(self.stack.redis.socket)
        else:
            self._ways()[what][1]()

    def _ways(self) -> dict[str, tuple[Callable[[], None], Callable[[], None]]]:
        redis, proxy = self.stack.redis, self.proxy
        return {
            "killed": (redis.kill, redis.start),
            "hung": (lambda: redis.signal(signal.SIGSTOP), lambda: redis.signal(signal.SIGCONT)),
            "black hole": (proxy.black_hole, proxy.heal),
            "refused": (proxy.refuse, proxy.heal),
        }


@asynccontextmanager
async def redis_outages(stack: Stack) -> AsyncIterator[Outages]:
    """A gateway whose way to Redis leads through a proxy, which may lead it to a rogue."""

    async def grumble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65_536):
            writer.write(f"{outages.error}\r\n".encode())
        writer.close()

    async with Proxy(to=stack.redis.socket) as proxy, loopback_server(grumble) as rogue:
        outages = Outages(stack, proxy, f"127.0.0.1:{rogue}")
        stack.environment["DARKROOM_REDIS_URL"] = f"redis://127.0.0.1:{proxy.port}"
        yield outages


class CountedRedis:
    """A stack's Redis behind a port of its own, which can be away; tries of a process to reach it are counted."""

    def __init__(self, stack: Stack, proxy: Proxy) -> None:
        self.stack, self._proxy = stack, proxy
        self.network = Network(log=stack.folder / "tries.log")
        self.url = f"redis://127.0.0.1:{proxy.port}"

    def start_command(self, module: str, *, of: str = "worker", **environment: str) -> Process:
        """Start a worker or a gateway whose tries are counted, and wait for nothing."""
        inside = (sys.executable, "-m", "tests.support.network.fake_network", self.network.table(), "--")
        command = (*inside, module, self.stack.config)
        return self.stack.start_command(*command, of=of, DARKROOM_REDIS_URL=self.url, **environment)

    def goes_away(self) -> None:
        """Let nothing listen there."""
        self.stack.redis.kill()
        self._proxy.refuse()

    def comes_back(self) -> None:
        """Start it again."""
        self.stack.redis.start()
        self._proxy.heal()

    async def is_tried(self, times: int, *, by: str = "") -> None:
        """Wait until a thread, or any, has tried so many times more to reach it."""
        before = self._tries(by)
        async with asyncio.timeout(30):
            while self._tries(by) < before + times:
                await asyncio.sleep(0.05)

    def _tries(self, by: str) -> int:
        return sum(thread.startswith(by) for thread in self.network.attempts(self._proxy.port))


@asynccontextmanager
async def counted_redis(stack: Stack) -> AsyncIterator[CountedRedis]:
    """Put a port before a stack's Redis, for what is started to use it."""
    async with Proxy(to=stack.redis.socket) as proxy:
        yield CountedRedis(stack, proxy)
