"""The outbox: webhooks of ended jobs, each taken by one worker at a time until it is delivered or given up.

`finish` in `contract/store/lua/include/job/finish.lua` puts a job's webhook in. One whose worker dies comes back when
its lease is over, so it is delivered at least once. The job hash keeps what came of it: `webhook_state` and
`webhook_tries`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from redis.asyncio import Redis

from contract.store.job_writer import new_name
from contract.store.scripts import Scripts

LEASE_S = 60.0
LOOK = 100  # due webhooks that are looked at in one go


class WebhookState(StrEnum):
    """What came of a webhook."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"  # given up


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A webhook that was taken to be delivered."""

    job_id: str
    number: int  # of this try, from 1
    host: str
    fields: Mapping[str, str] = field(repr=False)  # of the job hash

    @property
    def shares(self) -> tuple[str, str]:
        """Name what has a bound of its own: its host, and its owner."""
        return f"host {self.host}", f"owner {self.fields.get('owner_digest', '')}"


class WebhookOutbox:
    """Webhooks that wait to be delivered."""

    def __init__(self, redis: Redis) -> None:
        self._run = Scripts(redis, ("webhook_outbox/take", "webhook_outbox/settle")).run
        self._taking = ""  # names a take whose answer has not come yet

    async def take(
        self, most: int, *, busy: Mapping[str, int], most_to_host: int, most_of_owner: int, lease_s: float = LEASE_S
    ) -> tuple[list[Delivery], bool]:
        """Take what is due, and tell whether to look again at once; `busy` counts what is under way by its `shares`.

        One whose answer was lost is repeated by the next one, which gets what that has taken. Raises Unavailable.
        """
        pairs = (part for item in busy.items() for part in item)
        bounds = (most_to_host, most_of_owner)
        self._taking = self._taking or new_name()
        looked, *taken = await self._run(
            "webhook_outbox/take", most, int(lease_s * 1000), LOOK, *bounds, self._taking, *pairs
        )
        self._taking = ""
        deliveries = [
            Delivery(job_id=job_id, number=number, host=host, fields=dict(zip(flat[::2], flat[1::2], strict=True)))
            for job_id, number, host, flat in taken
        ]
        return deliveries, looked == LOOK and not deliveries

    async def settle(self, delivery: Delivery, state: WebhookState, *, wait_s: float = 0) -> None:
        """Write what a try came to; a pending one is due again after `wait_s`. A repeat changes nothing."""
        await self._run("webhook_outbox/settle", delivery.job_id, delivery.number, state, int(wait_s * 1000))
