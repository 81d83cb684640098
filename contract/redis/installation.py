"""Which installation a Redis serves: its id, the workers' media directory, the workers' secret.

A worker leaves a marker file in its media directory and tells Redis the marker, so that a gateway without the
workers' disk can find out. Secrets are compared by digests.
"""

from __future__ import annotations

import hashlib
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from redis.asyncio import Redis

from contract.artifacts.atomic_file import write_once
from contract.redis.client import PREFIX, reaching_redis

KEY = PREFIX + "installation"
MARKER = ".darkroom-disk"  # in the media directory
MAX_MARK = 64  # bytes that are read of one


@dataclass(frozen=True, slots=True)
class Installation:
    """What Redis knows of an installation; "" is what nobody has told yet."""

    id: str = ""
    media: str = ""  # the marker in the workers' media directory
    secret: str = ""  # a digest

    def is_elsewhere(self, media: Path) -> bool:
        """Tell whether the workers keep their images in another directory than this one; blocking."""
        return bool(self.media) and read_mark(media) != self.media


async def read_installation(redis: Redis) -> Installation:
    """Ask Redis which installation it serves. Raises Unavailable."""
    async with reaching_redis():
        id_, media, secret = await redis.hmget(KEY, "id", "media", "secret")
    return Installation(str(id_ or ""), str(media or ""), str(secret or ""))


async def join_installation(redis: Redis, *, media: str, secret: str) -> Installation:
    """Tell Redis a worker's marker and the digest of its secret; answer what stood there before.

    Raises Unavailable.
    """
    before = await read_installation(redis)
    async with reaching_redis():
        await redis.hsetnx(KEY, "id", secrets.token_hex(8))
        await redis.hset(KEY, mapping={"media": media, "secret": secret})
    return before


def digest_of(key: bytes) -> str:
    """Make what tells whether two processes have the same secret, of a key derived from it."""
    return hashlib.sha256(key).hexdigest()[:16]


def read_mark(media: Path) -> str:
    """Read the marker of a media directory, "" if it has none; blocking."""
    try:
        with (media / MARKER).open("rb") as file:
            return file.read(MAX_MARK).decode("ascii", "replace").strip()
    except OSError:
        return ""


def make_mark(media: Path) -> str:
    """Read the marker of a media directory, made if it has none, "" if that cannot be; blocking.

    It gets its name when it is whole, so of two workers one wins.
    """
    if mark := read_mark(media):
        return mark
    with suppress(OSError):  # there is no room, or it may not be written to
        write_once(media / MARKER, f"{secrets.token_hex(16)}\n".encode())
    return read_mark(media)
