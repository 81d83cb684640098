"""The deadline for Redis: under three seconds for a whole response, however many commands it takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from contract.errors.exceptions import Unavailable

ANSWER_S = 2.8


@asynccontextmanager
async def redis_deadline() -> AsyncIterator[None]:
    """Bound a whole operation, however many commands it has."""
    try:
        async with asyncio.timeout(ANSWER_S):
            yield
    except TimeoutError as expired:
        raise Unavailable from expired
