"""What the doctor says of Redis, the workers, the clock, and the secret they share."""

from __future__ import annotations

import asyncio
import time

from redis.asyncio import Redis

from contract.errors.exceptions import ConfigInvalid, Unavailable
from contract.redis.client import reaching_redis
from contract.redis.failure import place_of
from contract.redis.requirements import Weight
from contract.settings.installation_secret import InstallationSecret
from contract.settings.loader import Settings
from contract.store.installation import digest_of
from producer.doctor.finding import Finding
from producer.health.queue import QueueHealth

CLOCK_S = 5.0


def check_redis(queue_health: QueueHealth, url: str) -> list[Finding]:
    """Say whether Redis would take a job, and whether it would keep it."""
    place = place_of(url)
    if queue_health.cause:
        first = Finding("redis", False, f"at {place}: Redis {queue_health.cause.says}", queue_health.cause.hint)
    else:
        told = [f"answers at {place}", queue_health.sight.version, queue_health.sight.memory]
        first = Finding("redis", True, ", ".join(part for part in told if part))
    doubts = [
        Finding(f"redis {doubt.name}", doubt.weight is Weight.TOLD, f"Redis {doubt.says}", doubt.hint)
        for doubt in queue_health.doubts
    ]
    if queue_health.is_reached and not doubts:
        doubts = [Finding("redis safety", True, "keeps every accepted job")]
    return [first, *doubts]


def check_workers(queue_health: QueueHealth) -> Finding:
    """Say whether somebody works."""
    hint = (
        "" if queue_health.workers else "Start one with `darkroom worker`; if it exits at once, its last line says why."
    )
    return Finding("worker", queue_health.workers > 0, f"{queue_health.workers} running", hint)


async def check_clock(client: Redis) -> Finding:
    """Compare this machine's clock with Redis's."""
    try:
        async with reaching_redis():
            before = time.time()
            seconds, micros = await client.time()
            after = time.time()
    except Unavailable:
        return Finding("clock", False, "Redis became unreachable during the check", "Run doctor again.")
    off = seconds + micros / 1e6 - (before + after) / 2
    is_right = abs(off) < CLOCK_S
    return Finding("clock", is_right, f"{off:+.1f} s from Redis", "" if is_right else "Set it with NTP.")


async def check_secret(settings: Settings, queue_health: QueueHealth) -> list[Finding]:
    """Compare the secret with the workers', if both have one; make none."""
    theirs = queue_health.installation.secret
    secret = InstallationSecret.of(settings)
    if not theirs or not await asyncio.to_thread(secret.exists):
        return []
    try:
        own = digest_of(await asyncio.to_thread(secret.key, "installation"))
    except ConfigInvalid as error:
        return [Finding("secret", False, error.problems[0].message, f"Fix it in {settings.home}.")]
    if own == theirs:
        return []
    detail = "differs from the workers': webhooks are signed with another secret than is shown here"
    return [Finding("secret", False, detail, "Set the same DARKROOM_SECRET for gateways and workers.")]
