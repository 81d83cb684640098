"""What can be seen of a queue at a glance: could it take a job, would it keep it, who works on it."""

from __future__ import annotations

from dataclasses import dataclass

from contract.errors.exceptions import Unavailable
from contract.monitoring.fleet import LOOK, Fleet, read_fleet
from contract.redis.failure import Cause, cause_of
from contract.redis.requirements import Doubt, Sight, judge, look
from contract.store.installation import Installation, read_installation
from contract.store.producer_store import ProducerStore
from producer.client.redis_deadline import redis_deadline

NOTHING = Sight(None, None)
NOBODYS = Installation()
NO_FLEET = Fleet()


@dataclass(frozen=True, slots=True)
class QueueHealth:
    """What was seen; without `cause` Redis would take a job, and `is_reached` tells whether it answered at all."""

    cause: Cause | None
    is_reached: bool
    fleet: Fleet = NO_FLEET
    sight: Sight = NOTHING
    doubts: tuple[Doubt, ...] = ()
    installation: Installation = NOBODYS

    @property
    def workers(self) -> int:
        """How many workers run."""
        return len(self.fleet.workers)


async def read_queue_health(store: ProducerStore, *, most: int = LOOK) -> QueueHealth:
    """Look at a queue, and at so many jobs of each index at most; it takes no longer than any answer."""
    cause = await _refusal(store)
    try:
        async with redis_deadline():
            sight = await look(store.redis)
    except Unavailable as error:
        return QueueHealth(cause or cause_of(error.__cause__), is_reached=False)
    try:
        async with redis_deadline():
            fleet = await read_fleet(store.redis, most=most)
            installation = await read_installation(store.redis)
    except Unavailable as error:
        return QueueHealth(cause or cause_of(error.__cause__), True, sight=sight, doubts=judge(sight))
    return QueueHealth(cause, True, fleet, sight, judge(sight), installation)


async def _refusal(store: ProducerStore) -> Cause | None:
    """Do what handing a job in does; tell why that failed."""
    try:
        async with redis_deadline():
            await store.check()
    except Unavailable as error:
        return cause_of(error.__cause__)
    return None
