"""The gate before each provider: a circuit breaker and a limit of calls at a time, shared by all workers.

A call enters before it is made and leaves when it has ended, with a verdict on the provider. Five bad
ones in a row close the gate for a while, a rejected key at once; then one call at a time probes. A job
that is refused gives its slot back and is woken, in the order of the queue, once there is room. All
decisions are made in Redis: `contract/lua/enter_gate.lua` and `leave_gate.lua`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum
from random import SystemRandom

from contract.errors import ProviderError, RateLimited
from contract.scripts import Scripts
from contract.store import JobStore, Lease, LeaseLost, digest

GRACE_S = 30.0  # after the longest time a call may take, for its worker to say that it has ended

_KEY = frozenset({"provider_auth", "provider_credits", "provider_forbidden", "provider_tls_failed"})
_BAD = frozenset(
    (
        *("provider_unreachable", "provider_timeout", "provider_interrupted", "provider_bad_answer"),
        *("provider_error", "provider_down"),
        *("answer_too_large", "bad_image", "image_too_large", "unsupported_image"),
    )
)

logger = logging.getLogger(__name__)


class Verdict(StrEnum):
    """What a call that has ended says about its provider."""

    GOOD = "good"
    NEUTRAL = "neutral"  # it works, but not for this request
    THROTTLED = "throttled"  # it works, but not for so many
    BAD = "bad"
    KEY = "key"  # no call with this key can succeed
    UNKNOWN = "unknown"  # we gave the call up


@dataclass(frozen=True, slots=True)
class Closed:
    """Why a call may not be made now: the error that closed the gate, or "" when it is just full."""

    wait_s: float
    code: str


def verdict_of(error: ProviderError) -> Verdict:
    """Judge a provider by how a call failed."""
    if error.is_elsewhere:
        return Verdict.NEUTRAL
    if error.code in _KEY:
        return Verdict.KEY
    # Also with a Retry-After an answer of 5xx is a failure.
    if error.code in _BAD and not 400 <= (error.http_status or 0) < 500:
        return Verdict.BAD
    return Verdict.THROTTLED if isinstance(error, RateLimited) else Verdict.NEUTRAL


class Gates:
    """Knows the gate to each provider with each key; Redis never sees a key."""

    def __init__(self, store: JobStore, *, limit: int | None, open_s: float) -> None:
        self._store = store
        self._scripts = Scripts(store.redis, ("enter_gate", "leave_gate"))
        self._limit = limit
        self._open_s = open_s

    def to(self, provider: str, key: str) -> Gate:
        """Find a gate."""
        name = digest(f"{provider}\0{key}")
        return Gate(self._scripts, self._store, name, limit=self._limit, open_s=self._open_s)


class Gate:
    """The way to one provider with one key."""

    def __init__(self, scripts: Scripts, store: JobStore, name: str, *, limit: int | None, open_s: float) -> None:
        self.name = name
        self._run = scripts.run
        self._store = store
        self._limit = limit or 0
        self._open_s = open_s
        self._jitter = SystemRandom()

    async def enter(self, lease: Lease, number: int, *, most_s: float) -> Closed | None:
        """Ask whether a call of at most `most_s` may be made now: None is yes. Raises LeaseLost.

        Every call that was let in has to leave. The waits of refused ones are spread, so that they do
        not come back in the same instant; give the slot back with `release(…, at_gate=True)`.
        """
        answer = await self._run("enter_gate", *self._call(lease, number), int((most_s + GRACE_S) * 1000))
        if answer == "lost":
            raise LeaseLost(lease.job_id)
        if answer == "ok":
            return None
        wait_ms, code = answer
        return Closed(int(wait_ms) / 1000 + self._jitter.uniform(0, self._open_s), str(code))

    async def leave(self, lease: Lease, number: int, verdict: Verdict, *, code: str = "") -> None:
        """Say that a call has ended; `code` is the error behind a BAD or KEY verdict. A repeat changes nothing."""
        woken = await self._run("leave_gate", *self._call(lease, number), verdict, code)
        if woken:
            logger.debug("gate %s woke %s jobs", self.name, len(woken))
        # Jobs that have run before are served last rung, first served.
        await self._store.ring(woken[::-1])

    def _call(self, lease: Lease, number: int) -> tuple[str | int, ...]:
        return lease.job_id, lease.fence, self.name, number, self._limit, int(self._open_s * 1000)
