"""Which installation a Redis serves: its id, the marker of the workers' media directory, a digest of their secret."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from redis.asyncio import Redis

from contract.redis.client import reaching_redis
from contract.store.keys import INSTALLATION


@dataclass(frozen=True, slots=True)
class Installation:
    """What Redis knows of an installation; "" is not known yet."""

    id: str = ""
    media: str = ""  # the marker in the workers' media directory
    secret: str = ""  # a digest

    def is_elsewhere(self, marker: str) -> bool:
        """Tell whether the workers keep their images in another directory than the one with this marker."""
        return bool(self.media) and marker != self.media


async def read_installation(redis: Redis) -> Installation:
    """Ask Redis which installation it serves. Raises Unavailable."""
    async with reaching_redis():
        id_, media, secret = await redis.hmget(INSTALLATION, "id", "media", "secret")
    return Installation(str(id_ or ""), str(media or ""), str(secret or ""))


async def join_installation(redis: Redis, *, media: str, secret: str) -> Installation:
    """Tell Redis a worker's marker and the digest of its secret; answer what stood there before.

    Raises Unavailable.
    """
    before = await read_installation(redis)
    async with reaching_redis():
        await redis.hsetnx(INSTALLATION, "id", secrets.token_hex(8))
        await redis.hset(INSTALLATION, mapping={"media": media, "secret": secret})
    return before


def digest_of(key: bytes) -> str:
    """Make what tells whether two processes have the same secret, of a key derived from it."""
    return hashlib.sha256(key).hexdigest()[:16]
