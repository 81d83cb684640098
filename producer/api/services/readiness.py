"""Could this gateway take a job, and show its images? Asked by each look at `/readyz`."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

from contract.errors.exceptions import ConfigInvalid
from contract.redis.requirements import Weight, refusals
from contract.settings.installation_secret import InstallationSecret
from contract.settings.loader import Settings
from contract.store.installation import digest_of
from producer.client.connections import Connections
from producer.doctor.versions import check_versions
from producer.health.queue import QueueHealth, read_queue_health

ELSEWHERE = "is not the workers': their images cannot be shown or deleted here"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at; without what is `needed` no job can be taken."""

    ok: bool
    needed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Readiness:
    """Looks at what a gateway needs."""

    settings: Settings
    connections: Connections
    secret: InstallationSecret

    async def look(self) -> tuple[dict[str, Check], str]:
        """List what was looked at, and name the installation that Redis serves, "" if it does not tell."""
        queue_health = await read_queue_health(self.connections.store)
        checks = {
            "redis": Check(
                queue_health.cause is None, True, queue_health.cause.says if queue_health.cause else "takes jobs"
            ),
            "media": await self._media(queue_health),
            "workers": Check(queue_health.workers > 0, False, f"{queue_health.workers} running"),
        }
        if queue_health.is_reached:
            checks |= {
                "safety": self._safety(queue_health),
                "versions": self._versions(queue_health),
                "secret": await asyncio.to_thread(self._secret, queue_health),
            }
        return checks, queue_health.installation.id

    async def problems(self, queue_health: QueueHealth) -> dict[str, tuple[int, str]]:
        """List what is wrong with media directory, secret and versions, with levels for the log."""
        told = {
            "media": (
                logging.ERROR,
                f"the media directory {self.connections.artifacts.place}",
                await self._media(queue_health),
            ),
            "secret": (logging.WARNING, "the secret", await asyncio.to_thread(self._secret, queue_health)),
            "versions": (logging.WARNING, "versions:", self._versions(queue_health)),
        }
        return {
            about: (level, f"{what} {check.detail}") for about, (level, what, check) in told.items() if not check.ok
        }

    async def _media(self, queue_health: QueueHealth) -> Check:
        """Look at the media directory."""
        room = await self.connections.artifacts.room()
        if room.problem:
            return Check(False, True, room.problem)
        if queue_health.installation.is_elsewhere(await self.connections.artifacts.marker()):
            return Check(False, True, ELSEWHERE)
        return Check(True, True, "can be written to")

    def _safety(self, queue_health: QueueHealth) -> Check:
        bad = [doubt for doubt in queue_health.doubts if doubt.weight is not Weight.TOLD]
        is_needed = bool(refusals(bad)) and not self.settings.env.allow_unsafe_redis
        told = bad or queue_health.doubts
        return Check(not bad, is_needed, "; ".join(doubt.says for doubt in told) or "keeps every accepted job")

    def _versions(self, queue_health: QueueHealth) -> Check:
        found = check_versions(queue_health.fleet)
        return Check(found.ok, False, found.detail)

    def _secret(self, queue_health: QueueHealth) -> Check:
        """Compare the secret with the workers'; blocking."""
        try:
            own = digest_of(self.secret.key("installation"))
        except ConfigInvalid as error:
            return Check(False, False, error.problems[0].message)
        is_same = queue_health.installation.secret in ("", own)
        return Check(is_same, False, "is the workers'" if is_same else "is not the workers': set one DARKROOM_SECRET")


def shown(checks: dict[str, Check]) -> dict[str, Any]:
    """Write checks as JSON."""
    return {name: {"ok": check.ok, "needed": check.needed, "detail": check.detail} for name, check in checks.items()}
