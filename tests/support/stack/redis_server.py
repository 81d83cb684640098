"""A real Redis server that tests start, kill and start again."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from redis import Redis
from redis.exceptions import RedisError

from producer.stack.redis_server import write_redis_config
from tests.support.lacking import redis_program

# A file system in memory, if there is one with room: on a disk each write of a Redis that loses nothing waits for it.
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (a folder of one's own is made there)
MEMORY = _SHARED_MEMORY if _SHARED_MEMORY.is_dir() and shutil.disk_usage(_SHARED_MEMORY).free > 2**31 else None


class RealRedis:
    """One server with its files in a folder and its socket beside them."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "r.sock"
        self.url = f"unix://{self.socket}"
        self._config = write_redis_config(folder, self.socket)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it answers; without one a laptop skips and CI fails."""
        self.process = subprocess.Popen([redis_program(), self._config], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        with Redis.from_url(self.url) as client:
            while not _answers(client):
                assert time.monotonic() < deadline, "Redis did not start"
                time.sleep(0.02)

    def signal(self, number: int) -> None:
        """Send the server a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kill the server the hard way."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def empty(self) -> None:
        """Kill the server, and start it without anything in it."""
        self.kill()
        for kept in self._config.parent.glob("appendonly*"):
            shutil.rmtree(kept) if kept.is_dir() else kept.unlink()
        self.start()


@contextmanager
def running_redis(*, within: Path | None = MEMORY) -> Iterator[RealRedis]:
    """Run a server in a folder of its own, whose name is short enough for a socket, and kill it."""
    with TemporaryDirectory(prefix="dr-", dir=within) as folder:
        server = RealRedis(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.kill()


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except (RedisError, OSError):  # loading, or not there yet
        return False
