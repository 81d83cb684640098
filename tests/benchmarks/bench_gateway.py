"""What the gateway bears, on real processes over loopback: `make bench`, or by hand with options.

It prints a table of targets and exits 1 where one is missed. Figures of a machine that does other things beside are
worth little: the load, the worker, Redis (`appendfsync always`) and the simulator share its processors already.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from redis.asyncio import Redis
from simulator.server.server import Simulator

from contract.redis.client import open_redis
from producer.tokens import Right
from tests.benchmarks.bench_fairness import jain
from tests.benchmarks.table import Line
from tests.benchmarks.turns import bursts, newcomers_wait, shares
from tests.support.network.http_client import Connection
from tests.support.stack.redis_server import running_redis
from tests.support.stack.stack import Stack

OWNERS = 200
STREAMS_EACH = 5
STALLED_EACH = 50  # of four kinds
JSON = {"Content-Type": "application/json"}
QUIET_S = 20.0
IMAGE_S = 0.3  # of a provider that is faster than any; eight slots then finish some twenty jobs a second
SETTLE_S = 3.0  # what stalled clients asked for at once is served until it stalls
HOLD_S = 36.0  # a stalled client is dropped within


class Bench:
    """One Darkroom with a gateway, and what can be seen of its process."""

    def __init__(self, stack: Stack, port: int, token: str) -> None:
        self.stack, self.port, self.token = stack, port, token
        self.pid = stack.gateways[0].pid
        self.me = Connection(port, token)

    async def ask(self, method: str, target: str, owner: str, **body: Any) -> Any:
        """Ask for something as an owner."""
        content = json.dumps(body).encode() if body else None
        answer = await self.me.ask(method, target, content, JSON | {"X-Darkroom-User": owner})
        assert answer.status < 300, answer
        return answer.json()

    def memory_mib(self) -> float:
        """Tell what the gateway holds in memory."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))

    def cpu_s(self) -> float:
        """Tell how long the gateway has computed so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def held(self, ports: list[int]) -> int:
        """Count the connections from these ports that the gateway has not given up."""
        rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        ends = {(int(row[1][-4:], 16), int(row[2][-4:], 16)) for row in rows if row[9] != "0"}
        return sum((self.port, port) in ends for port in ports)

    async def all_held(self, ports: list[int]) -> int:
        """Wait some seconds for all of these connections to come about; answer how many have."""
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                while self.held(ports) < len(ports):
                    await asyncio.sleep(0.05)
        return self.held(ports)

    @asynccontextmanager
    async def load(self, mode: str, **options: Any) -> AsyncIterator[Process]:
        """Start a load of a mode."""
        given = json.dumps({"port": self.port, "token": self.token} | options)
        script = str(Path(__file__).with_name("load.py"))
        process = await asyncio.create_subprocess_exec(sys.executable, script, mode, given, stdin=PIPE, stdout=PIPE)
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()
            await process.wait()

    async def rate(self, seconds: float, submits_per_s: float, polls_per_s: float) -> dict[str, Any]:
        """Hand in and look at fixed rates; answer how that went."""
        options = {"owners": OWNERS, "seconds": seconds, "submits_per_s": submits_per_s, "polls_per_s": polls_per_s}
        async with self.load("rate", **options) as process:
            return await said(process)


async def said(process: Process) -> dict[str, Any]:
    """Read the next line that a load tells."""
    assert process.stdout is not None
    return dict(json.loads(await process.stdout.readline()))


@asynccontextmanager
async def provider(seconds: float) -> AsyncIterator[Simulator]:
    """Start a simulator as a process that stands back, as a real provider would be on another machine."""
    command = ["nice", "-n", "15", sys.executable, "-m", "simulator", "--seconds", str(seconds)]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, cwd=Path(__file__).parents[1] / "simulator")
    try:
        yield Simulator(port=(await said(process))["port"])
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def a_bench(seconds: float = 0, *, slots: int = 8, **environment: str) -> AsyncIterator[Bench]:
    """Build everything anew, with a simulator that takes some seconds."""
    with running_redis(within=None) as redis, TemporaryDirectory() as folder:
        async with provider(seconds) as simulator:
            stack = Stack(Path(folder), redis, simulator, forks=False)
            try:
                token = stack.token("service", rights=[Right.READ, Right.SUBMIT, Right.USERS])
                url = await stack.start_gateway(**environment)
                await stack.start_worker(DARKROOM_CONCURRENCY=str(slots))
                yield Bench(stack, int(url.rpartition(":")[2]), token)
            finally:
                stack.stop()


async def steady(seconds: float) -> list[Line]:
    """(a) 50 submits and 50 looks a second, while eight slots make images."""
    async with a_bench(IMAGE_S) as bench:
        before = bench.cpu_s()
        found = await bench.rate(seconds, 50, 50)
        busy = 100 * (bench.cpu_s() - before) / seconds
    return [
        Line("a  50 submits/s: p99", found["submit"]["p99"], 100, "ms"),
        Line("a  50 submits/s: served", found["submit"]["served"], 50 * seconds, "", least=True),
        Line("a  50 looks/s beside them: p99", found["poll"]["p99"], 50, "ms"),
        Line("a  the event loop's longest stall, as /livez sees it", found["livez"]["max"], 250, "ms"),
        Line("a  the gateway's processor time", busy, 60, "%"),
    ]


async def overload(seconds: float) -> list[Line]:
    """(b) 200 submits a second, more than the queue holds, while eight slots make images."""
    most_queued = int(100 * seconds)
    async with (
        a_bench(IMAGE_S, DARKROOM_MAX_QUEUED=str(most_queued)) as bench,
        open_redis(bench.stack.redis.url) as redis,
    ):
        depths: list[int] = []
        watching = asyncio.create_task(watch_queue(redis, depths))
        before = bench.cpu_s()
        found = await bench.rate(seconds, 200, 5)
        busy, memory = 100 * (bench.cpu_s() - before) / seconds, bench.memory_mib()
        watching.cancel()
        await asyncio.wait([watching])
    submits = found["submit"]
    return [
        Line("b  200 submits/s: p99 of the accepted", submits["p99"], 250, "ms"),
        Line("b  accepted", submits["served"], most_queued, "", least=True),
        Line("b  refused with 429 or 503 and Retry-After", submits["refused"], 1, "", least=True),
        Line("b  answered otherwise", submits["wrong"] + found["poll"]["wrong"], 0, ""),
        Line("b  jobs queued at a time", max(depths), most_queued, ""),
        Line("b  the gateway's memory", memory, 200, "MiB"),
        Line("b  the gateway's processor time", busy, 100, "%"),
    ]


async def watch_queue(redis: Redis, depths: list[int]) -> None:
    """Note how many jobs wait, several times a second."""
    while True:
        async with redis.pipeline() as pipe:
            for name in ("queued", "waiting", "parked"):
                pipe.zcard(f"darkroom:{name}")
            depths.append(sum(await pipe.execute()))
        await asyncio.sleep(0.2)


async def long_jobs(bench: Bench) -> list[tuple[str, str]]:
    """Hand in a job of ten minutes for each owner."""
    owners = [f"u{number}" for number in range(OWNERS)]
    return [(owner, (await bench.ask("POST", "/v1/jobs", owner, prompt="[slow 600] a fox"))["id"]) for owner in owners]


async def followers(_: float) -> list[Line]:
    """(c) A thousand clients that follow jobs."""
    async with a_bench() as bench, open_redis(bench.stack.redis.url) as redis:
        jobs = await long_jobs(bench)
        memory, clients = bench.memory_mib(), len(await redis.client_list())
        usual = await commands_per_s(redis)
        async with bench.load("follow", jobs=jobs, each=STREAMS_EACH) as process:
            opened = (await said(process))["open"]
            more, clients = bench.memory_mib() - memory, len(await redis.client_list()) - clients
            cpu_s = bench.cpu_s()
            commands = await commands_per_s(redis) - usual
            busy = 100 * (bench.cpu_s() - cpu_s) / QUIET_S
            for owner, job in jobs:
                await bench.ask("POST", f"/v1/jobs/{job}/cancel", owner)
            ended = (await said(process))["ended"]
    return [
        Line("c  clients that follow a job", opened, OWNERS * STREAMS_EACH, "", least=True),
        Line("c  ends that they were told", ended, opened, "", least=True),
        Line("c  the gateway's memory for them", more, 60, "MiB"),
        Line("c  connections to Redis for them", clients, 20, ""),
        Line("c  commands to Redis for them while nothing happens", commands, 100, "/s"),
        Line("c  the gateway's processor time while nothing happens", busy, 20, "%"),
    ]


async def commands_per_s(redis: Redis) -> float:
    """Count what Redis is asked for a while."""
    before = (await redis.info("stats"))["total_commands_processed"]
    await asyncio.sleep(QUIET_S)
    return float((await redis.info("stats"))["total_commands_processed"] - before) / QUIET_S


async def stalled(seconds: float) -> list[Line]:
    """(d) Clients that never read, or never finish what they say."""
    seconds = max(seconds, HOLD_S + 4)
    async with a_bench() as bench:
        images = [("i", await an_image(bench, number)) for number in range(5)]
        jobs = await long_jobs(bench)
        alone = await bench.rate(seconds / 2, 20, 50)
        memory = bench.memory_mib()
        async with bench.load("stall", jobs=jobs, images=images, each=STALLED_EACH) as process:
            ports = (await said(process))["ports"]
            at_first = await bench.all_held(ports)
            await asyncio.sleep(SETTLE_S)
            beside = asyncio.create_task(bench.rate(seconds, 20, 50))
            await asyncio.sleep(HOLD_S - SETTLE_S)
            followers, others = bench.held(ports[::4]), bench.held(ports) - bench.held(ports[::4])
            more = bench.memory_mib() - memory
            among = await beside
    return [
        Line("d  stalled clients at first", at_first, 4 * STALLED_EACH, "", least=True),
        Line(f"d  of {STALLED_EACH} stalled clients of three kinds each, left after {HOLD_S:.0f} s", others, 0, ""),
        Line("d  of those that follow a job of which there is nothing to tell", followers, STALLED_EACH, ""),
        Line("d  the gateway's memory for them", more, 50, "MiB"),
        Line("d  submits of others: p99", among["submit"]["p99"], 2 * alone["submit"]["p99"] + 20, "ms"),
        Line("d  looks of others: p99", among["poll"]["p99"], 2 * alone["poll"]["p99"] + 20, "ms"),
    ]


async def an_image(bench: Bench, number: int) -> str:
    """Make an image that is large enough to fill what lies between us and who does not read."""
    job = await bench.ask("POST", "/v1/jobs", "i", prompt=f"a fox, the {number}th", image_size="4K")
    done = await bench.ask("GET", f"/v1/jobs/{job['id']}?wait=60", "i")
    return str(done["images"][0]["id"])


async def fairness(_: float) -> list[Line]:
    """(e) Who is served when, by a worker of four slots."""
    slots = 4
    async with a_bench(0.2, slots=slots) as bench:
        passed = await newcomers_wait(bench.ask)
        found = shares(await bursts(bench.ask), slots=slots)
    return [
        Line("e  of A's 200 jobs that start between B's acceptance and its start", passed, slots + 1, ""),
        Line("e  Jain's index of 20 owners with bursts", jain(found), 0.95, "", least=True),
    ]


PARTS: dict[str, Callable[[float], Awaitable[list[Line]]]] = {
    "a": steady,
    "b": overload,
    "c": followers,
    "d": stalled,
    "e": fairness,
}


async def main() -> int:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", default="abcde", help="letters of the parts to run")
    parser.add_argument("--seconds", type=float, default=60, help="how long loads of a rate last")
    wishes = parser.parse_args()
    lines = []
    for letter in wishes.parts:
        print(PARTS[letter].__doc__, flush=True)
        for line in await PARTS[letter](wishes.seconds):
            lines.append(line)
            print(line, flush=True)
    return 0 if all(line.is_met for line in lines) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
