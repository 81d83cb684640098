"""The names of Redis keys: the one prefix, and how the names of an owner's and a job's keys are built.

Owners, conversations and idempotency keys stand in them as digests.
"""

from __future__ import annotations

import hashlib

PREFIX = "darkroom:"
DAMAGED = PREFIX + "damaged"
DELETING = PREFIX + "deleting"
EVENTS_CHANNEL = PREFIX + "events"
BREAKERS = PREFIX + "breakers"
GATE = PREFIX + "gate:"  # before a circuit breaker's name
INSTALLATION = PREFIX + "installation"
JOURNAL = PREFIX + "journal"
KEPT = PREFIX + "kept"
LIVE = PREFIX + "live"
PARKED = PREFIX + "parked"
PRESENCE = PREFIX + "presence"
QUEUED = PREFIX + "queued"
RATES = PREFIX + "rate"
RUNNING = PREFIX + "running"
SLOTS = PREFIX + "slots"
UPLOADS = PREFIX + "uploads"
VERSIONS = PREFIX + "versions"
WAITING = PREFIX + "waiting"
WORKERS = PREFIX + "workers"


def digest(text: str) -> str:
    """Make a short fixed-form name of any text (80 bits)."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()


def micro(usd: float) -> int:
    """Count money in whole micro-dollars, so that sums stay exact."""
    return round(usd * 1_000_000)


def job_key(job_id: str) -> str:
    """Name the hash of a job."""
    return f"{PREFIX}job:{job_id}"


def job_events_key(job_id: str) -> str:
    """Name the stream of a job's events."""
    return f"{PREFIX}job:{job_id}:events"


def deleted_key(job_id: str) -> str:
    """Name the mark that a job was deleted."""
    return f"{PREFIX}deleted:{job_id}"


def owner_key(owner: str, what: str) -> str:
    """Name a key of an owner."""
    return f"{PREFIX}owner:{digest(owner)}:{what}"


def recent_key(owner: str, what: str) -> str:
    """Name what is remembered of a request of an owner."""
    return owner_key(owner, "recent:" + digest(what))


def image_key(artifact_id: str) -> str:
    """Name the key with the owner of an artifact."""
    return f"{PREFIX}image:{artifact_id}"


def durations_key(kind: str) -> str:
    """Name the list of how long jobs of a kind took."""
    return f"{PREFIX}durations:{kind}"


def pictures_key(breaker: str, model: str) -> str:
    """Name the key that tells how many images a model's answer brought last."""
    return f"{GATE}{breaker}:{model}:pictures"


def mail_key(outbox: str) -> str:
    """Name the set of the messages that a chat gateway still has to send."""
    return f"{PREFIX}mail:{outbox}"


def memo_key(outbox: str, session: str) -> str:
    """Name the list of notes for a chat session's next turn."""
    return f"{PREFIX}memo:{outbox}:{digest(session)}"


def presence_key(job_id: str) -> str:
    """Name the set of the gateways at which clients wait for a job."""
    return f"{PRESENCE}:{job_id}"
