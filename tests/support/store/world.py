"""A job table whose scripts lose their answers: one client reaches it without loss, the other one does not.

Time stands still, so what is in Redis after a loss can be compared with what is there without one.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.asyncio.connection import BlockingConnectionPool

from contract.errors.exceptions import Unavailable
from contract.redis.client import open_redis
from contract.store.doorbell import Doorbell
from producer.chat.outbox import ChatOutbox
from tests.support.factories.job_store import JobStore
from tests.support.model.table import JobTable, Look, with_test_clock
from tests.support.store.lossy_redis import LossyRedis, names_by_digest
from tests.support.store.table import sweep
from worker.policy.circuit_breaker import CircuitBreaker, CircuitBreakers
from worker.webhooks.outbox import WebhookOutbox

TIMEOUT_S = 0.3
T = TypeVar("T")

# What callers make up: it differs from one run to the other.
_MADE_UP = ("claim", "cancel", "released", "ended_by", "letter_taking", "bytes")


class ClockedRedis(Redis):
    """A client whose scripts ask the test for the time."""

    def register_script(self, script: Any) -> Any:
        """Register a script with the test's clock."""
        return super().register_script(with_test_clock(script))


@dataclass(frozen=True, kw_only=True)
class World:
    """The table as tests see it (`calm`), and as those see it whose answers may be lost."""

    calm: JobStore
    calm_redis: Redis
    store: JobStore
    lossy: LossyRedis

    @property
    def chat_outbox(self) -> ChatOutbox:
        """A mailbox whose answers may be lost."""
        return ChatOutbox(self.store.redis, "box")

    @property
    def webhook_outbox(self) -> WebhookOutbox:
        """An outbox of webhooks whose answers may be lost."""
        return WebhookOutbox(self.store.redis)

    def breaker(self, *, calm: bool = False, limit: int = 1) -> CircuitBreaker:
        """A circuit breaker that lets so many calls through at a time."""
        return CircuitBreakers(self.calm if calm else self.store, limit=limit, open_s=10).to("p", "key", "m")

    async def settled(self, look: Callable[[], Awaitable[Look]]) -> dict[str, Any]:
        """Read all keys behind the sweep that comes within a second: what it mends has not been late."""
        await sweep(self.calm)
        return comparable(await look())


@asynccontextmanager
async def lossy_world(table: JobTable) -> AsyncIterator[World]:
    """Put a proxy before a table."""
    names = names_by_digest(with_test_clock)
    async with LossyRedis(table.server.socket, names) as lossy:
        pool = open_redis(f"redis://127.0.0.1:{lossy.port}", timeout_s=TIMEOUT_S).connection_pool
        assert isinstance(pool, BlockingConnectionPool)
        async with ClockedRedis.from_pool(pool) as client:
            store = JobStore(client, Doorbell(), retention_s=86_400)
            yield World(calm=table.store, calm_redis=table.redis, store=store, lossy=lossy)


async def insist(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until Redis answers, as a caller does that comes again."""
    for _ in range(9):
        with suppress(Unavailable):
            return await ask()
    raise AssertionError("Redis does not answer")


class Roughly(float):
    """What Redis measures of its memory: some bytes more or less are no difference, a job more is."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Roughly) and abs(self - other) < 100

    __hash__ = float.__hash__


def comparable(look: Look) -> dict[str, Any]:
    """Write what is in Redis so that two runs can be compared: without what is made up, and without stream ids."""
    found: dict[str, Any] = {}
    for name, value in look.keys.items():
        if name.startswith("taken:"):
            found["taken"] = sorted([*found.get("taken", []), *value])
        else:
            found[name] = _comparable(name, value)
    return found


def _comparable(name: str, value: Any) -> object:
    if name.startswith("bells"):
        return sorted(json.loads(bell)["headers"]["id"] for bell in value)
    if name.endswith(":events") or name == "journal":
        return [_line(fields) for _, fields in value]
    if name.startswith("gate:") and name.endswith(":calls"):
        return sorted((re.sub(r":\d+$", "", call), until) for call, until in value.items())
    if name in ("live", "kept"):
        return {owner: Roughly(size) for owner, size in value.items()}
    if name.endswith((":kept", ":awaited", ":marks")):
        entries = sorted(entry.rpartition(" ")[::2] for entry in value)
        return [(what, Roughly(size)) for what, size in entries]
    return (
        {field: _without_names(field, text) for field, text in value.items()} if isinstance(value, Mapping) else value
    )


def _without_names(field: str, text: str) -> object:
    """Leave out of a field what is made up; in a story that is the id of each event."""
    if field == "story":
        return "\n".join(line.partition(" ")[2] for line in text.splitlines())
    if field == "bytes":
        return Roughly(text)
    return "…" if field in _MADE_UP else text


def _line(fields: list[str]) -> dict[str, str]:
    return {name: text for name, text in zip(fields[::2], fields[1::2], strict=True) if name != "once"}
