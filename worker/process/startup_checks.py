"""The ground that a worker needs: a Redis that lets it in and loses nothing, and a media directory to write to.

A Redis that is away or out of sorts is waited for; a refusal that lasts is told.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from contract.artifacts.artifact_store import ArtifactStore
from contract.errors.exceptions import ConfigInvalid, Problem, Unavailable
from contract.redis.failure import cause_of
from contract.redis.requirements import Doubt, Weight, judge, look, refusals
from contract.store.installation import join_installation
from contract.store.worker_store import WorkerStore

RETRY_S = 1.0
SIGN_OF_LIFE_S = 5

logger = logging.getLogger(__name__)


async def check_storage(artifacts: ArtifactStore) -> None:
    """Make the storage if need be, and store as an image is stored. Raises ConfigInvalid."""
    try:
        await artifacts.prepare()
    except OSError as error:
        raise ConfigInvalid([Problem(artifacts.place, f"cannot be written to: {error.strerror}")]) from error


@dataclass(frozen=True, slots=True)
class Installation:
    """What a worker shares with others: the marker of its media directory, a digest of its secret."""

    media: str
    secret: str


async def find_redis(
    store: WorkerStore, worker: str, belongings: Installation, *, lease_s: float, allow_unsafe: bool
) -> None:
    """Wait until Redis runs our scripts. Raises ConfigInvalid if it answers and refuses, or would lose jobs."""
    told = ""
    while True:
        try:
            doubts = await check_redis(store, allow_unsafe=allow_unsafe)
            await join(store, belongings)
            await store.renew(worker, [], lease_s=lease_s)
        except Unavailable as error:
            cause = cause_of(error.__cause__)
            if cause.lasts:
                refusal = f"Redis refuses: {error.__cause__} - Redis {cause.says}. {cause.hint}"
                raise ConfigInvalid([Problem("DARKROOM_REDIS_URL", refusal)]) from error
            if cause.says != told:
                logger.warning("waiting for Redis, which %s: %s", cause.says, error.__cause__)
            told = cause.says
        else:
            if told:
                logger.info("Redis is there")
            for doubt in doubts:
                level = logging.INFO if doubt.weight is Weight.TOLD else logging.WARNING
                logger.log(level, "Redis %s. %s", doubt.says, doubt.hint)
            return
        await asyncio.sleep(RETRY_S)


async def check_redis(store: WorkerStore, *, allow_unsafe: bool) -> tuple[Doubt, ...]:
    """List what is wrong with Redis. Raises ConfigInvalid for one that would lose jobs, and Unavailable."""
    doubts = judge(await look(store.redis))
    if not allow_unsafe and (refused := refusals(doubts)):
        hint = "DARKROOM_ALLOW_UNSAFE_REDIS=true lets the worker start anyway."
        raise ConfigInvalid(
            [Problem("DARKROOM_REDIS_URL", f"Redis {doubt.says}. {doubt.hint} {hint}") for doubt in refused]
        )
    return doubts


async def join(store: WorkerStore, own: Installation) -> None:
    """Tell Redis what this worker shares with others, before its first sign of life; log what others have instead.

    A Redis that is full or goes away is not told.
    """
    try:
        others = await store.workers(within_s=SIGN_OF_LIFE_S)
        before = await join_installation(store.redis, media=own.media, secret=own.secret)
    except Unavailable:
        return
    if others and before.media not in ("", own.media):
        logger.warning("other workers have another media directory: all workers and gateways must share one")
    if others and before.secret not in ("", own.secret):
        logger.warning("other workers have another secret: set the same DARKROOM_SECRET everywhere")
