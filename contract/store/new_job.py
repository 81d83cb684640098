"""A job that is to be accepted: what submit has to know of it, and how the job hash will keep it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from contract.jobs.job import ReferenceSnapshot
from contract.jobs.request import KeptRequest
from contract.store.keys import digest, micro


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatDelivery:
    """What a chat gateway writes into a chat when a job ends."""

    outbox: str  # of the gateway
    route: str  # where the message goes, in the gateway's own words
    hold_s: float  # how long the turn that handed the job in may wait for it


@dataclass(frozen=True, slots=True)
class KeepLimits:
    """How much Redis may remember; 0 is no limit."""

    jobs: int = 0  # ended ones of the owner
    owner_bytes: int = 0  # of all jobs of the owner
    all_bytes: int = 0  # of all jobs of all owners


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """What submit needs to know; digests keep owners and keys out of the names of Redis keys."""

    id: str
    owner: str
    conversation: str | None
    request: KeptRequest
    snapshots: tuple[ReferenceSnapshot, ...]
    idempotency_key: str | None = None
    queue_time_s: float
    run_time_s: float
    max_active: int
    max_queued: int
    max_running: int = 0  # of the owner's jobs, ready and running together; 0: as many as there are slots
    kind: str = ""  # names those jobs that take about as long: a digest of provider, model and size
    budget_usd: float = 0  # of the owner for a day; 0: none
    price_usd: float = 0  # of one image, as far as it can be known
    webhook: str = ""  # sealed: the process that sends it can open it
    webhook_url: str = ""  # only to tell requests apart, as the sealed text differs each time
    retry_of: str | None = None
    defaults: str = ""  # of the configuration: `contract/settings/accepted_defaults.py`
    gallery: str = ""  # the group its images belong to, if not the owner: a chat
    chat_delivery: ChatDelivery | None = None

    @property
    def digest(self) -> str:
        """Fingerprint what was asked for, to tell a repeated request from another one."""
        snapshots = [snapshot.sha256 for snapshot in self.snapshots]
        hook = [self.webhook_url] if self.webhook_url else []
        return digest(json.dumps([self.request.model_dump(mode="json"), snapshots, self.conversation, *hook]))

    @property
    def most_usd(self) -> float:
        """Tell what the job will cost if each image is made at once."""
        return self.request.count * self.price_usd

    def fields(self) -> dict[str, str | int]:
        """Write the fields of the job hash that never change."""
        conversation = self.conversation or ""
        return {
            "owner": self.owner,
            "conversation": conversation,
            "conversation_digest": digest(conversation) if conversation else "",
            "request": self.request.model_dump_json(),
            "count": self.request.count,
            "snapshots": json.dumps([snapshot.model_dump() for snapshot in self.snapshots]),
            "run_time": int(self.run_time_s * 1000),
            "kind": self.kind,
            "price": micro(self.price_usd),
            "webhook": self.webhook,
            "retry_of": self.retry_of or "",
            **({"defaults": self.defaults} if self.defaults else {}),
            **({"gallery_digest": digest(self.gallery)} if self.gallery else {}),
            **({"mailbox": self.chat_delivery.outbox, "route": self.chat_delivery.route} if self.chat_delivery else {}),
        }
