"""Which versions work on a Redis, and which contracts its unfinished jobs need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from redis.asyncio import Redis

from contract.redis.client import reaching_redis
from contract.store.keys import PARKED, QUEUED, RUNNING, VERSIONS, WAITING, WORKERS, job_key
from contract.version import CONTRACT, own_version

SEEN_S = 5  # since a worker's last sign of life
LOOK = 100  # jobs of each index that are looked at
CHUNK = 1000
_INDEXES = (QUEUED, WAITING, PARKED, RUNNING)


@dataclass(frozen=True, slots=True)
class Build:
    """A version and its contract; older versions tell neither, and have 0."""

    contract: int = 0
    version: str = ""

    @property
    def words(self) -> str:
        """Name it."""
        return (
            f"{self.version} (contract {self.contract})"
            if self.contract
            else "an older version, which tells no contract"
        )


@dataclass(frozen=True, slots=True)
class Fleet:
    """The running workers by their names, and how many of the jobs that were looked at need which contract."""

    workers: Mapping[str, Build] = field(default_factory=dict)
    jobs: Mapping[int, int] = field(default_factory=dict)

    @property
    def contract(self) -> int:
        """The highest contract that a running worker keeps; 0 if none runs."""
        return max((build.contract for build in self.workers.values()), default=0)

    @property
    def words(self) -> str:
        """Tell how many workers there are of each version."""
        counts = Counter(build.words for build in self.workers.values())
        return ", ".join(f"{count} of {words}" for words, count in sorted(counts.items()))

    def needing(self, contract: int) -> int:
        """Count the jobs that need a higher contract than this one."""
        return sum(count for needed, count in self.jobs.items() if needed > contract)


async def read_fleet(redis: Redis, *, most: int = LOOK) -> Fleet:
    """Read which workers run and which contracts jobs need, of at most `most` jobs an index. Raises Unavailable."""
    async with reaching_redis():
        seconds, _ = await redis.time()
        pipe = redis.pipeline(transaction=False)
        pipe.zrangebyscore(WORKERS, 1000 * (seconds - SEEN_S), "+inf")
        pipe.hgetall(VERSIONS)
        for name in _INDEXES:
            pipe.zrange(name, 0, most - 1)
        names, told, *indexes = await pipe.execute()
        jobs: Counter[int] = Counter()
        ids = [str(job_id) for index in indexes for job_id in index]
        for start in range(0, len(ids), CHUNK):
            pipe = redis.pipeline(transaction=False)
            for job_id in ids[start : start + CHUNK]:
                pipe.hget(job_key(job_id), "contract")
            jobs.update(_number(text) for text in await pipe.execute())
    return Fleet({str(name): _build(told.get(name, "")) for name in names}, jobs)


def own_build() -> Build:
    """Tell which version this process is of."""
    return Build(CONTRACT, own_version())


def _build(text: str) -> Build:
    number, _, version = str(text).partition(" ")
    return Build(_number(number), version)


def _number(text: object) -> int:
    """Read a contract number; what is without one, or cannot be read, is older than the first one."""
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 10 else 0
