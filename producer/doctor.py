"""The doctor: looks at everything a job needs, and says how to mend what is wrong."""

from __future__ import annotations

import asyncio
from pathlib import Path

from contract.doorbell import Doorbell
from contract.errors import ConfigInvalid
from contract.scripts import open_redis
from contract.settings import Settings, default_config_path, load_settings
from contract.store import JobStore
from producer.disk import try_room
from producer.finding import Finding
from producer.gateway_doctor import see_gateway
from producer.pulse import Pulse, feel
from producer.redis_doctor import see_clock, see_redis, see_secret, see_workers
from producer.tokens import Tokens
from producer.versions_doctor import see_versions

MOST_JOBS = 2000  # of each index, that are looked at

__all__ = ["Finding", "examine"]


async def examine(config: Path | None, *, gateway_url: str | None = None) -> list[Finding]:
    """Look at configuration, keys, Redis, worker, versions, clock, media directory, gateway and tokens, in this order.

    A gateway that is not known to run, by its `gateway_url`, may be absent.
    """
    findings: list[Finding] = []
    try:
        path = load_settings(config).config_path
        absent = f"there is no {path}: defaults are used; `darkroom config init` writes an example"
        findings.append(Finding("config", True, "valid" if path.exists() else absent))
    except ConfigInvalid as error:
        findings += [Finding("config", False, str(problem), _mend_of_config(config)) for problem in error.problems]
    try:
        settings = load_settings(config, needs_keys=False)
    except ConfigInvalid:
        return findings
    findings += [_key(settings, name) for name in settings.provider_names]
    return findings + await _queue(settings, gateway_url)


async def _queue(settings: Settings, gateway_url: str | None) -> list[Finding]:
    """Look at what is outside of the configuration."""
    url = settings.knobs.redis_url.get_secret_value()
    async with open_redis(url) as client:
        pulse = await feel(JobStore(client, Doorbell()), most=MOST_JOBS)
        findings = see_redis(pulse, url)
        if pulse.is_reached:
            findings += [
                see_workers(pulse),
                see_versions(pulse.fleet),
                await see_clock(client),
                *await see_secret(settings, pulse),
            ]
    findings.append(await asyncio.to_thread(_media, settings.media, pulse))
    findings.append(await asyncio.to_thread(see_gateway, settings.knobs, gateway_url, pulse.installation.id))
    return [*findings, _tokens(settings)]


def _mend_of_config(config: Path | None) -> str:
    path = (config or default_config_path()).expanduser().absolute()
    if path.exists():
        return "Mend it, then run doctor again."
    return f"There is no {path}: `darkroom config init` writes an example."


def _key(settings: Settings, name: str) -> Finding:
    config = settings.providers.get(name)
    present = config is not None and config.api_key is not None and bool(config.api_key.get_secret_value())
    mend = f"Set providers.{name}.apiKey in {settings.config_path}, best as ${{{name.upper()}_API_KEY}}."
    return Finding(f"key of {name}", present, "present" if present else "missing", "" if present else mend)


def _media(media: Path, pulse: Pulse) -> Finding:
    """Write into the media directory, and compare it with the workers'; blocking."""
    name = "media directory"
    room = try_room(media)
    if room.problem:
        return Finding(name, False, f"{media} {room.problem}", f"Make room there, and let this user write to {media}.")
    if pulse.installation.is_elsewhere(media):
        detail = f"{media} is not the one that the workers write to: their images cannot be found here"
        return Finding(name, False, detail, "Let gateway and workers share one media directory.")
    if not room.is_there:
        return Finding(name, True, f"{media} is not there yet; the first worker makes it")
    return Finding(name, True, f"{media}, {room.words}")


def _tokens(settings: Settings) -> Finding:
    try:
        valid = [token for token in Tokens(settings.tokens_path).list() if not token.is_expired]
    except ConfigInvalid as error:
        return Finding("tokens", False, error.problems[0].message, f"Mend {settings.tokens_path}.")
    return Finding("tokens", True, f"{len(valid)} valid" if valid else "none: `darkroom token create NAME` makes one")
