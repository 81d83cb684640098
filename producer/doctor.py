"""The doctor: looks at everything a job needs, and says how to mend what is wrong."""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from contract.doorbell import Doorbell
from contract.errors import ConfigInvalid, Unavailable
from contract.knobs import Knobs
from contract.scripts import open_redis, reaching_redis
from contract.settings import Settings, default_config_path, load_settings
from contract.store import JobStore
from producer.tokens import Tokens

CLOCK_S = 5.0
GATEWAY_S = 5.0
MAX_ANSWER = 10_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; `mend` says what to do when it is not `ok`."""

    name: str
    ok: bool
    detail: str
    mend: str = ""


async def examine(config: Path | None, *, gateway_url: str | None = None) -> list[Finding]:
    """Look at configuration, keys, Redis, worker, clock, media directory, gateway and tokens, in this order.

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
    findings += await _redis(settings)
    findings.append(await asyncio.to_thread(_media, settings.media))
    findings.append(await asyncio.to_thread(_gateway, settings, gateway_url))
    findings.append(_tokens(settings))
    return findings


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


async def _redis(settings: Settings) -> list[Finding]:
    async with open_redis(settings.knobs.redis_url.get_secret_value()) as client:
        try:
            async with reaching_redis():
                before = time.time()
                seconds, micros = await client.time()
                after = time.time()
            workers = await JobStore(client, Doorbell()).workers(within_s=5)
        except Unavailable:
            mend = "Start it with `darkroom up`, or set DARKROOM_REDIS_URL to a running Redis."
            return [Finding("redis", False, "does not answer", mend)]
    off = seconds + micros / 1e6 - (before + after) / 2
    return [
        Finding("redis", True, "answers"),
        Finding(
            "worker", bool(workers), f"{len(workers)} running", "" if workers else "Start one with `darkroom worker`."
        ),
        Finding(
            "clock", abs(off) < CLOCK_S, f"{off:+.1f} s beside Redis", "" if abs(off) < CLOCK_S else "Set it with NTP."
        ),
    ]


def _gateway(settings: Settings, url: str | None) -> Finding:
    """Ask the gateway whether it could take a job; blocking."""
    address = url.partition("://")[2] if url else _own_address(settings.knobs)
    connection = HTTPConnection(address, timeout=GATEWAY_S)
    try:
        connection.request("GET", "/readyz?verbose", headers={"Host": "localhost"})
        told = json.loads(connection.getresponse().read(MAX_ANSWER))
        wrong = [f"{name} {check['detail']}" for name, check in told["checks"].items() if not check["ok"]]
    except (OSError, HTTPException):
        if url is None:
            return Finding("gateway", True, "does not run; `darkroom gateway` starts one")
        mend = "The stack starts it again; logs/gateway.log in its directory says why it ended."
        return Finding("gateway", False, "does not run", mend)
    except (ValueError, KeyError, TypeError, AttributeError):
        return Finding("gateway", False, f"something else answers at {address}", "Set DARKROOM_PORT.")
    finally:
        connection.close()
    return Finding("gateway", told["ready"] is True, ", ".join([f"answers at {address}", *wrong]))


def _own_address(knobs: Knobs) -> str:
    """Tell where a gateway with these settings is asked from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(knobs.host, knobs.host)  # noqa: S104 - read, not bound
    return f"[{host}]:{knobs.port}" if ":" in host else f"{host}:{knobs.port}"


def _tokens(settings: Settings) -> Finding:
    try:
        valid = [token for token in Tokens(settings.tokens_path).list() if not token.is_expired]
    except ConfigInvalid as error:
        return Finding("tokens", False, error.problems[0].message, f"Mend {settings.tokens_path}.")
    return Finding("tokens", True, f"{len(valid)} valid" if valid else "none: `darkroom token create NAME` makes one")


def is_writable(folder: Path) -> bool:
    """Tell whether a folder can be written to, or made where it is not there yet."""
    while not folder.exists():
        folder = folder.parent
    return os.access(folder, os.W_OK | os.X_OK)


def _media(media: Path) -> Finding:
    writable = is_writable(media)
    mend = "" if writable else f"Make {media} writable for this user."
    detail = str(media) if media.exists() else f"{media} is not there yet; the first image makes it"
    return Finding("media directory", writable, detail, mend)
