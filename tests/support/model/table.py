"""The real job table on a real Redis, whose clock stands still until a test moves it, and a look at all its keys."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Mapping
from typing import Any, Self, TypeVar

import redis
from redis.asyncio import Redis

from contract.redis.client import open_redis
from contract.store.doorbell import Doorbell
from contract.store.keys import PREFIX
from tests.support.factories.job_store import JobStore
from tests.support.stack.redis_server import RealRedis

Answer = TypeVar("Answer")
START_MS = 1_800_000_000_000
RETENTION_S = 86_400

_TIME = "redis.call('TIME')"
_TEST_TIME = "redis.call('HMGET', 'clock', 'seconds', 'micros')"
# Keys expire by Redis's real clock. All times of these tests but the shortest are whole steps of 5 s, so what is
# left is rounded up to such steps: the real seconds that a test takes do not count.
_MOVE = """
local by, now = tonumber(ARGV[1]), tonumber(ARGV[2])
for _, key in ipairs(redis.call('KEYS', '*')) do
  local left = redis.call('PTTL', key)
  if left > 0 then redis.call('PEXPIRE', key, math.ceil(left / 5000) * 5000 - by) end
end
redis.call('HSET', 'clock', 'seconds', math.floor(now / 1000), 'micros', now % 1000 * 1000)
"""
_LOOK = """
local reads = {
  hash = {'HGETALL'}, list = {'LRANGE', 0, -1}, stream = {'XRANGE', '-', '+'}, string = {'GET'},
  set = {'SMEMBERS'}, zset = {'ZRANGE', 0, -1, 'WITHSCORES'},
}
local all = {}
for _, key in ipairs(redis.call('KEYS', 'darkroom:*')) do
  local read = reads[redis.call('TYPE', key).ok]
  local found = redis.call(read[1], key, unpack(read, 2))
  all[key] = found
  if read[1] == 'SMEMBERS' then table.sort(found) end
  if read[1] == 'HGETALL' or read[1] == 'ZRANGE' then  -- their order is Redis's own
    all[key] = {}
    for i = 1, #found, 2 do all[key][found[i]] = found[i + 1] end
  end
end
return cjson.encode(all)
"""


def with_test_clock(script: str) -> str:
    """Put the test's clock in the place of Redis's."""
    return script.replace(_TIME, _TEST_TIME)


class TestedRedis(Redis):
    """A client whose scripts ask the test for the time; `edits` break them on purpose.

    Each command is asked and answered at once: thousands of steps one after the other have nothing to do meanwhile,
    and what waits for a socket in an event loop takes longer than the command.
    """

    edits: Mapping[str, str] = {}
    at_once: redis.Redis
    answers_lost = 0  # of each script, one after the other; then its caller hears what it is answered

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Do one command, again if its answer is lost."""
        do: Any = self.at_once.execute_command
        for _ in range(self.answers_lost if args[0] == "EVALSHA" else 0):
            do(*args, **options)
        return do(*args, **options)

    def register_script(self, script: Any) -> Any:
        """Register a script with the test's clock in the place of Redis's."""
        assert script.count(_TIME) == script.count("local clock ="), (
            "`clock.lua` asks for the time in another way: teach this client"
        )
        for old, new in self.edits.items():
            script = script.replace(old, new)
        return super().register_script(with_test_clock(script))


class Look:
    """All keys of Darkroom as they were at one moment, their names without its prefix."""

    def __init__(self, text: str) -> None:
        self.keys: dict[str, Any] = {name.removeprefix(PREFIX): value for name, value in json.loads(text).items()}

    def but(self, name: str) -> dict[str, Any]:
        """All keys but one."""
        return {key: value for key, value in self.keys.items() if key != name}

    def fields(self, name: str) -> dict[str, str]:
        """Read a hash."""
        found: dict[str, str] = self.keys.get(name, {})
        return found

    def scores(self, name: str) -> dict[str, int]:
        """Read a sorted set."""
        return {member: int(float(score)) for member, score in self.fields(name).items()}

    def story(self, job_id: str) -> list[str]:
        """Name the events of a job in their order."""
        if story := self.fields(f"job:{job_id}").get("story"):
            return [json.loads(line.split(" ", 2)[2])["type"] for line in story.splitlines()]
        entries = self.keys.get(f"job:{job_id}:events", [])
        return [json.loads(dict(zip(line[::2], line[1::2], strict=True))["event"])["type"] for _, line in entries]

    def journal(self) -> dict[str, str]:
        """Read the state that the journal tells last of each job."""
        entries = (dict(zip(line[::2], line[1::2], strict=True)) for _, line in self.keys.get("journal", []))
        return {entry["job"]: entry["state"] for entry in entries if entry["job"]}

    def bells(self) -> dict[str, list[str]]:
        """Read the ids in each list of bells, the next one to be served last."""
        lists = {name: value for name, value in self.keys.items() if name.startswith("bells")}
        return {name: [json.loads(bell)["headers"]["id"] for bell in bells] for name, bells in lists.items()}


class JobTable:
    """A job table with a clock and an event loop of its own."""

    def __init__(self, server: RealRedis, edits: Mapping[str, str] | None = None) -> None:
        self.server = server
        self._runner = asyncio.Runner()
        client = TestedRedis.from_pool(open_redis(server.url, timeout_s=20).connection_pool)
        assert isinstance(client, TestedRedis)
        self.redis = client
        self.redis.edits = edits or {}
        self.redis.at_once = redis.Redis(unix_socket_path=str(server.socket), decode_responses=True, socket_timeout=20)
        self.store = JobStore(self.redis, Doorbell(), retention_s=RETENTION_S)
        self.now_ms = START_MS
        self._was_killed = False
        self._move, self._look = (Redis.register_script(self.redis, script) for script in (_MOVE, _LOOK))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.redis.at_once.close()
        self.run(self.redis.aclose())
        self._runner.close()

    def run(self, doing: Coroutine[Any, Any, Answer]) -> Answer:
        """Do one thing to its end."""
        return self._runner.run(doing)

    def clear(self) -> None:
        """Forget everything and begin anew."""
        self.now_ms = START_MS
        if self._was_killed:  # each start replays everything since the first one
            self.server.empty()
        self._was_killed = False
        self.run(self._flush())
        self.move(0)

    def move(self, by_ms: int) -> None:
        """Let time pass, for the scripts and for keys that expire."""
        self.run(self.moved(by_ms))

    async def moved(self, by_ms: int) -> None:
        """The same for those who are in the event loop."""
        self.now_ms += by_ms
        await self._move(args=[by_ms, self.now_ms])

    def look(self) -> Look:
        """Read all keys in one round trip."""
        return self.run(self.looked())

    async def looked(self) -> Look:
        """The same for those who are in the event loop."""
        return Look(await self._look())

    def take_bell(self, name: str) -> None:
        """Take the next bell of a list, as a worker does."""
        self.run(self._pop(name))

    def restart(self) -> None:
        """Kill Redis the hard way and start it again."""
        self._was_killed = True
        self.server.kill()
        self.server.start()

    async def _flush(self) -> None:
        await self.redis.flushall()

    async def _pop(self, name: str) -> None:
        await self.redis.rpop(PREFIX + name)
