"""The doctor: checks everything a job needs, and says how to fix what is wrong."""

from __future__ import annotations

import asyncio
from pathlib import Path

from contract.artifacts.artifact_store import ArtifactStore
from contract.errors.exceptions import ConfigInvalid
from contract.redis.client import open_redis
from contract.settings.artifact_storage import open_artifact_store
from contract.settings.loader import Settings
from contract.store.doorbell import Doorbell
from contract.store.producer_store import ProducerStore
from producer.doctor.breakers import check_breakers
from producer.doctor.configuration import check_config
from producer.doctor.finding import Finding
from producer.doctor.gateway import check_gateway
from producer.doctor.redis import check_clock, check_redis, check_secret, check_workers
from producer.doctor.versions import check_versions
from producer.health.queue import QueueHealth, read_queue_health
from producer.tokens import Tokens

MOST_JOBS = 2000  # of each index, that are looked at

__all__ = ["Finding", "examine"]


async def examine(
    config: Path | None, *, gateway_url: str | None = None, keys_elsewhere: bool = False
) -> list[Finding]:
    """Look at configuration, keys, Redis, worker, versions, clock, media directory, gateway and tokens, in this order.

    A gateway that is not known to run, by its `gateway_url`, may be absent, and so may the keys that a stack has.
    """
    findings, settings = check_config(config, keys_elsewhere=keys_elsewhere)
    return findings + (await _queue(settings, gateway_url) if settings else [])


async def _queue(settings: Settings, gateway_url: str | None) -> list[Finding]:
    """Look at what is outside of the configuration."""
    url = settings.env.redis_url.get_secret_value()
    async with open_redis(url) as client:
        queue_health = await read_queue_health(ProducerStore(client, Doorbell()), most=MOST_JOBS)
        findings = check_redis(queue_health, url)
        if queue_health.is_reached:
            findings += [
                check_workers(queue_health),
                check_versions(queue_health.fleet),
                await check_clock(client),
                *await check_secret(settings, queue_health),
                *await check_breakers(client),
            ]
    findings.append(await _media(open_artifact_store(settings), queue_health))
    findings.append(await asyncio.to_thread(check_gateway, settings.env, gateway_url, queue_health.installation.id))
    return [*findings, _tokens(settings)]


async def _media(artifacts: ArtifactStore, queue_health: QueueHealth) -> Finding:
    """Write into the media directory, and compare it with the workers'."""
    name, place = "media directory", artifacts.place
    room = await artifacts.room(by_writing=True)
    if room.problem:
        return Finding(name, False, f"{place} {room.problem}", room.hint)
    if queue_health.installation.is_elsewhere(await artifacts.marker()):
        detail = f"{place} is not the directory that the workers write to: their images cannot be found here"
        return Finding(name, False, detail, "Give gateway and workers the same media directory.")
    if not room.is_there:
        return Finding(name, True, f"{place} does not exist yet; the first worker creates it")
    return Finding(name, True, f"{place}, {room.words}")


def _tokens(settings: Settings) -> Finding:
    try:
        valid = [token for token in Tokens(settings.tokens_path).list() if not token.is_expired]
    except ConfigInvalid as error:
        return Finding("tokens", False, error.problems[0].message, f"Fix {settings.tokens_path}.")
    return Finding("tokens", True, f"{len(valid)} valid" if valid else "none: `darkroom token create NAME` makes one")
