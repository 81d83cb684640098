"""Circuit breakers before each provider, and a limit of calls at a time, shared by all workers.

A call enters before it is made and leaves when it has ended, with its outcome. The limit is the key's. A rejected
key opens the breaker of the key; what concerns one model opens that of the model. Five failures in a row of an
owner's jobs open the breaker of these jobs on the model, and five of several owners that of the model; of one job,
and of one owner, only the first ones count, and any success ends the row. An open breaker lets no call through; after
its time it is half-open and lets one call at a time through as a probe, until a success closes it. A job whose call is
not let through gives its slot back and is woken, in the order of the queue, once there is room. All decisions are made
in Redis: `contract/store/lua/breaker/enter.lua` and `leave.lua`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import SystemRandom

from contract.errors.catalogue.provider import (
    ANSWER_ENCODED,
    ANSWER_TOO_LARGE,
    BAD_IMAGE,
    IMAGE_TOO_LARGE,
    PROVIDER_AUTH,
    PROVIDER_BAD_ANSWER,
    PROVIDER_CREDITS,
    PROVIDER_DOWN,
    PROVIDER_ERROR,
    PROVIDER_FORBIDDEN,
    PROVIDER_INTERRUPTED,
    PROVIDER_TIMEOUT,
    PROVIDER_TLS_FAILED,
    PROVIDER_UNREACHABLE,
    UNSUPPORTED_IMAGE,
)
from contract.store.keys import digest
from contract.store.lease import Lease, LeaseLost
from contract.store.scripts import Scripts
from contract.store.worker_store import WorkerStore
from worker.answers.errors import ProviderError, RateLimited
from worker.policy.breaker_log import Way, log_changes

GRACE_S = 30.0  # after the longest time a call may take, for its worker to say that it has ended

_KEY = frozenset({PROVIDER_AUTH.code, PROVIDER_TLS_FAILED.code})
_MODEL = frozenset({PROVIDER_CREDITS.code, PROVIDER_FORBIDDEN.code})  # another model may be cheaper, or allowed
_BAD = frozenset(
    (
        *(PROVIDER_UNREACHABLE.code, PROVIDER_TIMEOUT.code, PROVIDER_INTERRUPTED.code, PROVIDER_BAD_ANSWER.code),
        *(PROVIDER_ERROR.code, PROVIDER_DOWN.code),
        *(ANSWER_ENCODED.code, ANSWER_TOO_LARGE.code, BAD_IMAGE.code, IMAGE_TOO_LARGE.code, UNSUPPORTED_IMAGE.code),
    )
)

logger = logging.getLogger(__name__)


class CallOutcome(StrEnum):
    """What a call that has ended says about its provider."""

    GOOD = "good"
    NEUTRAL = "neutral"  # it works, but not for this request
    THROTTLED = "throttled"  # it works, but not for so many
    BAD = "bad"
    KEY = "key"  # no call with this key can succeed
    UNKNOWN = "unknown"  # we gave the call up
    MODEL = "model"  # no call to this model with this key can succeed


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why a call may not be made now: the error that opened a breaker, or "" when too many calls are under way."""

    wait_s: float
    code: str


def outcome_of(error: ProviderError) -> CallOutcome:
    """Judge a provider by how a call failed."""
    if error.is_elsewhere:
        return CallOutcome.NEUTRAL
    if error.code in _KEY:
        return CallOutcome.KEY
    if error.code in _MODEL:
        return CallOutcome.MODEL
    # Also with a Retry-After an answer of 5xx is a failure.
    if error.code in _BAD and not 400 <= (error.http_status or 0) < 500:
        return CallOutcome.BAD
    return CallOutcome.THROTTLED if isinstance(error, RateLimited) else CallOutcome.NEUTRAL


class CircuitBreakers:
    """The circuit breakers of all providers, by their keys; Redis never sees a key."""

    def __init__(self, store: WorkerStore, *, limit: int | None, open_s: float) -> None:
        self._store = store
        self._scripts = Scripts(store.redis, ("breaker/enter", "breaker/leave"))
        self._limit = limit
        self._open_s = open_s

    def to(self, provider: str, key: str, model: str) -> CircuitBreaker:
        """Find the circuit breakers before a model."""
        name = digest(f"{provider}\0{key}")
        way = Way(provider, model)
        return CircuitBreaker(self._scripts, self._store, name, way, limit=self._limit, open_s=self._open_s)


class CircuitBreaker:
    """The circuit breakers before one model of one provider with one key."""

    def __init__(
        self, scripts: Scripts, store: WorkerStore, name: str, way: Way, *, limit: int | None, open_s: float
    ) -> None:
        self.name = name
        self.model = digest(way.model)
        self._way = way
        self._begun: dict[tuple[str | int, ...], int] = {}  # when calls were let in, as Redis counts events
        self._run = scripts.run
        self._store = store
        self._limit = limit or 0
        self._open_s = open_s
        self._jitter = SystemRandom()

    async def enter(self, lease: Lease, number: int, *, most_s: float) -> Blocked | None:
        """Ask whether a call of at most `most_s` may be made now: None is yes. Raises LeaseLost.

        `number` names this call alone: a repeat with it gets the answer again that was lost. Every call that was let in
        has to leave. The waits of refused ones are spread, so that they do not come back in the same instant; give
        the slot back with `release(…, at_breaker=True)`.
        """
        call = self._call(lease, number)
        answer = await self._run("breaker/enter", *call, int((most_s + GRACE_S) * 1000))
        if answer == "lost":
            raise LeaseLost(lease.job_id)
        log_changes(answer.pop(), self._way)
        if len(answer) == 1:
            self._begun[call] = answer[0]
            return None
        wait_ms, code, woken = answer
        await self._ring(woken)
        return Blocked(int(wait_ms) / 1000 + self._jitter.uniform(0, self._open_s), str(code))

    async def leave(
        self,
        lease: Lease,
        number: int,
        outcome: CallOutcome,
        *,
        code: str = "",
        since_ms: float = 0,
        has_passed: bool = False,
    ) -> bool:
        """Say that a call has ended; `code` is the error behind BAD, KEY or MODEL. A repeat changes nothing.

        After a BAD one answer whether the provider fails others, too: calls of another owner since `since_ms`,
        or of another job unless another owner's have succeeded. `has_passed` tells with a GOOD one that the same
        was asked for before and met an error: a provider that does so falters, for some minutes.
        """
        call = self._call(lease, number)
        begun = self._begun.get(call, 0)  # it is asked for again if the answer is lost
        said = begun, outcome, code, int(since_ms), int(has_passed), *self._way
        woken, falters, changes = await self._run("breaker/leave", *call, *said)
        self._begun.pop(call, None)
        log_changes(changes, self._way)
        await self._ring(woken)
        return bool(falters)

    async def _ring(self, woken: Sequence[str]) -> None:
        if woken:
            logger.debug("circuit breaker %s woke %s jobs", self.name, len(woken))
        # Jobs that have run before are served last rung, first served.
        await self._store.ring(woken[::-1])

    def _call(self, lease: Lease, number: int) -> tuple[str | int, ...]:
        return lease.job_id, lease.fence, self.name, number, self._limit, int(self._open_s * 1000), self.model
