"""The ground that a worker needs: a Redis that lets it in, and a media directory that it can write to.

A Redis that is away or out of sorts is waited for; a refusal that lasts is told.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from tempfile import TemporaryDirectory

from redis.exceptions import AuthenticationError, NoPermissionError

from contract.errors import ConfigInvalid, Problem, Unavailable
from contract.store import JobStore

RETRY_S = 1.0
LASTING = ("unknown command", "The user executing the script", "ACL failure")  # of Redis 6 and 7
TOLD_EVERY = 30  # tries

logger = logging.getLogger(__name__)


def check_media(media: Path) -> None:
    """Make the media directory if need be, and store as an image is stored. Raises ConfigInvalid. Blocking."""
    try:
        media.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".darkroom-", dir=media) as folder:
            probe = Path(folder, "probe")
            probe.touch()
            Path(folder, "link").hardlink_to(probe)  # without hard links nothing can be completed
    except OSError as error:
        raise ConfigInvalid([Problem(str(media), f"cannot be written to: {error.strerror}")]) from error


async def find_redis(store: JobStore, worker: str, *, lease_s: float) -> None:
    """Wait until Redis runs our scripts. Raises ConfigInvalid if it answers, and refuses."""
    tries = 0
    while True:
        try:
            await store.renew(worker, [], lease_s=lease_s)
        except Unavailable as error:
            if refusal := _refusal(error):
                raise ConfigInvalid([Problem("DARKROOM_REDIS_URL", f"Redis refuses: {refusal}")]) from error
            if tries % TOLD_EVERY == 0:
                logger.warning("waiting for Redis, which does not answer: %s", error.__cause__)
        else:
            if tries:
                logger.info("Redis is there")
            return
        tries += 1
        await asyncio.sleep(RETRY_S)


def _refusal(error: BaseException) -> str:
    """Find a no that lasts; redis-py wraps what was said while connecting. Busy, full or fail-over passes."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, AuthenticationError | NoPermissionError) or any(sign in str(cause) for sign in LASTING):
            return str(cause)
        cause = cause.__cause__
    return ""
