"""The way to Redis: one kind of client, and one error for whatever goes wrong."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from contract.errors.catalogue.queue import QUEUE_FULL
from contract.errors.exceptions import Unavailable
from contract.redis.failure import REFUSED, UNKNOWN, cause_of

FULL_S = 30  # when to try again

logger = logging.getLogger(__name__)


def open_redis(url: str, *, timeout_s: float = 2.0) -> Redis:
    """Open a client whose every command answers or fails within about `timeout_s`.

    Only a broken pooled connection is tried again; a command that timed out never is.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        decode_responses=True,
        max_connections=50,
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        socket_connect_timeout=timeout_s,
        socket_timeout=timeout_s,
        timeout=timeout_s,
    )
    return Redis.from_pool(pool)


@asynccontextmanager
async def reaching_redis() -> AsyncIterator[None]:
    """Turn whatever goes wrong on the way to Redis into `Unavailable`, and lose no cancellation there.

    redis-py sends within `asyncio.wait_for`, which forgets one that comes just when it is done (Python 3.11).
    """
    task = asyncio.current_task()
    cancelled = task.cancelling() if task else 0
    try:
        yield
        if task and task.cancelling() > cancelled:
            raise asyncio.CancelledError
    except (RedisError, OSError, TimeoutError) as error:
        raise unavailable(error) from error


def is_unanswered(error: Unavailable) -> bool:
    """Tell whether Redis may have done what was asked: its answer was lost, or the request."""
    return isinstance(error.__cause__, RedisConnectionError | RedisTimeoutError | OSError)


def unavailable(error: BaseException) -> Unavailable:
    """Make the error that says why Redis cannot be used; a no without words of its own is logged as it is."""
    cause = cause_of(error)
    if cause.is_full:
        return Unavailable(QUEUE_FULL, says=cause.says, retry_after_s=FULL_S)
    is_silent = isinstance(error, RedisConnectionError | RedisTimeoutError | OSError)
    if cause is UNKNOWN and not is_silent:
        logger.error("Redis refuses: %s", error)  # our own mistake
        cause = REFUSED
    return Unavailable(says="" if is_silent and not cause.lasts else cause.says)
