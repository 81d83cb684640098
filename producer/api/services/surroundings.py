"""What a running gateway logs of its surroundings: each thing once, when it begins, also if that is after the start."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from contract.redis.requirements import Weight
from producer.api.services.readiness import Readiness
from producer.health.queue import QueueHealth

LOOK_S = 5.0
LOOK_AGAIN_S = 1.0  # while Redis is away

Problems = dict[str, tuple[int, str]]  # levels and words, by what they are about

logger = logging.getLogger(__name__)


class SurroundingsWatch:
    """Looks at Redis, at the media directory and at the secret as long as the gateway runs."""

    def __init__(self, readiness: Readiness, feel: Callable[[], Awaitable[QueueHealth]]) -> None:
        self._readiness = readiness
        self._feel = feel
        self._told: set[str] = set()
        self._missed = 0  # looks in a row
        self._away_as = ""
        self._away_since = 0.0
        self._is_new = True

    async def keep(self) -> None:
        """Look for ever."""
        while True:
            queue_health = await self._feel()
            await self.take(queue_health)
            await asyncio.sleep(LOOK_S if queue_health.is_reached else LOOK_AGAIN_S)

    async def take(self, queue_health: QueueHealth) -> None:
        """Log what is new in what was seen."""
        if not queue_health.is_reached:
            self._tell_away(queue_health)
            return
        self._tell_back()
        found = _problems_of(queue_health) | await self._readiness.problems(queue_health)
        for about, (level, words) in found.items():
            if about not in self._told:
                logger.log(level, "%s", words)
        self._told = set(found)

    def _tell_away(self, queue_health: QueueHealth) -> None:
        says, hint = (
            (queue_health.cause.says, queue_health.cause.hint) if queue_health.cause else ("does not answer", "")
        )
        self._missed += 1
        if self._missed == 1:
            self._away_since = time.monotonic()
        if says == self._away_as or (self._missed == 1 and not self._is_new):  # one look may have been too slow
            return
        if self._is_new:
            logger.warning("waiting for Redis, which %s. %s", says, hint)
        elif not self._away_as:
            logger.warning("Redis is away: it %s. %s", says, hint)
        self._away_as = says

    def _tell_back(self) -> None:
        if self._away_as and self._is_new:
            logger.info("Redis is there")
        elif self._away_as:
            logger.info("Redis is back after %.0f s", time.monotonic() - self._away_since)
        self._missed, self._away_as, self._is_new = 0, "", False


def _problems_of(queue_health: QueueHealth) -> Problems:
    """List what is wrong with a Redis that answers."""
    found: Problems = {}
    for doubt in queue_health.doubts:
        level = logging.INFO if doubt.weight is Weight.TOLD else logging.WARNING
        found[doubt.name] = level, f"Redis {doubt.says}. {doubt.hint}"
    if queue_health.cause:
        found[queue_health.cause.says] = logging.ERROR, f"Redis {queue_health.cause.says}. {queue_health.cause.hint}"
    return found
