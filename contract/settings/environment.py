"""Darkroom's own settings: DARKROOM_<NAME> of the environment, or of `darkroom.env` next to config.json."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    NonNegativeFloat,
    SecretStr,
    ValidationError,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError
from redis.asyncio.connection import parse_url

from contract.errors.exceptions import Problem
from contract.jobs.request import ImageSize, ModelName


class Fallback(BaseModel):
    """One rung of DARKROOM_FALLBACKS; what it leaves out is as in the request."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    provider: str | None = None
    model: ModelName | None = None
    image_size: ImageSize | None = None
    quality: str | None = None
    timeout_seconds: float | None = Field(None, gt=0)


def _some(fallbacks: tuple[Fallback, ...]) -> tuple[Fallback, ...]:
    if not fallbacks:
        raise PydanticCustomError("fallbacks_empty", "must not be an empty list")
    return fallbacks


_LOGIN = r"(?:[^@/?#\s]*@)?"
_HOST = rf"{_LOGIN}[^@/?#\s]+(?:/\d*)?"
_TLS = r"ssl_(?:cert_reqs=(?:required|optional|none)|ca_certs=[^&#]+)"
_REDIS_URL = re.compile(
    rf"redis://{_HOST}|rediss://{_HOST}(?:\?{_TLS}(?:&{_TLS})*)?|unix://{_LOGIN}/[^?#]+(?:\?db=\d+)?"
)


def _redis_url(url: SecretStr) -> SecretStr:
    """Let only those spellings pass that redis-py and kombu read alike."""
    try:
        if _REDIS_URL.fullmatch(url.get_secret_value()) and parse_url(url.get_secret_value()):
            return url
    except ValueError:  # its words may hold a part of the password
        pass
    form = "redis://[user:password@]host[:port][/db], rediss:// likewise, or unix://[user:password@]/path[?db=n]"
    raise PydanticCustomError("redis_url_invalid", "must be {form}", {"form": form})


def _words(value: object) -> object:
    """Read a list as people write it in an environment: with commas."""
    return [word.strip() for word in value.split(",")] if isinstance(value, str) else value


def _public_url(url: str) -> str:
    if not re.fullmatch(r"https?://[\w.\[\]:-]+(?:/[\w./-]*)?", url, re.ASCII):
        raise PydanticCustomError("public_url_invalid", "must be an http(s) address without query or login")
    return url.rstrip("/")


_RATE = r"[1-9]\d{0,8}/(?:[1-9]\d{0,5})?(?:second|minute|hour|day)"

Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
PublicUrl = Annotated[str, AfterValidator(_public_url)]
Rate = Annotated[str, Field(pattern=rf"^{_RATE}(?:;{_RATE})*$")]  # "30/second;600/minute"


def _schedule(waits: tuple[float, ...]) -> tuple[float, ...]:
    if not (1 <= len(waits) <= 20 and waits[0] == 0 and max(waits) <= 7 * 86_400):
        raise PydanticCustomError("schedule_invalid", "must be 1 to 20 waits in seconds, of which the first is 0")
    return waits


def _secret(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < 32:
        raise PydanticCustomError("secret_too_short", "must have 32 characters at least")
    return secret


Fallbacks = Annotated[tuple[Fallback, ...], AfterValidator(_some)]
Networks = Annotated[tuple[IPvAnyNetwork, ...], NoDecode, BeforeValidator(_words)]
Schedule = Annotated[tuple[NonNegativeFloat, ...], NoDecode, BeforeValidator(_words), AfterValidator(_schedule)]


class Environment(BaseSettings):
    """Darkroom's own settings: DARKROOM_<NAME>, also from `darkroom.env` next to config.json."""

    model_config = SettingsConfigDict(
        env_prefix="DARKROOM_", env_ignore_empty=True, frozen=True, extra="ignore", allow_inf_nan=False
    )

    redis_url: Annotated[SecretStr, AfterValidator(_redis_url)] = SecretStr("redis://127.0.0.1:6379/0")
    concurrency: int = Field(32, ge=1, le=1000)  # jobs that one worker runs at the same time
    body_memory_mb: int | None = Field(None, ge=16)  # MiB of answers in flight; None: by the limit of its cgroup
    drain_seconds: float | None = Field(None, ge=0)  # None: as long as a call may last (`Settings.drain_s`)
    attempt_timeout_seconds: float | None = Field(None, gt=0)  # None: 120, AIHubMix 300
    connect_seconds: float = Field(5, gt=0)  # to reach a provider
    idle_seconds: float = Field(30, gt=0)  # silence, or less than 1 KiB/s, for so long ends a call
    deadline_seconds: float = Field(600, gt=0)  # from a job's start to its end
    queue_seconds: float = Field(3600, gt=0)  # from acceptance to the start
    calls_per_image: int = Field(9, ge=1, le=10)
    retry_seconds: float = Field(1, gt=0)  # the back-off before a first repeat, at most
    fallbacks: Fallbacks | None = None
    breaker_seconds: float = Field(15, gt=0)  # a provider that failed five times in a row is left alone
    max_concurrency: int | None = Field(None, ge=1)  # calls to one provider key at a time, by all workers
    lease_seconds: float = Field(15, ge=5)
    retention_seconds: float = Field(7 * 86_400, ge=60)
    max_jobs_per_owner: int = Field(500, ge=1)
    max_queued: int = Field(10_000, ge=1)
    keys_elsewhere: bool = False  # this process needs no provider keys: only the workers have them
    allow_unsafe_redis: bool = False  # a worker starts although its Redis evicts jobs, or is a cluster
    plugin: bool = True  # whether nanobot's plugin does anything; read by producer/nanobot/switch.py, which is light
    tool_wait_seconds: float = Field(20, ge=0, le=600)  # how long a tool of a chat gateway waits for its images
    # The HTTP gateway.
    host: str = "127.0.0.1"
    port: int = Field(8790, ge=0, le=65_535)
    hosts: Words = ()  # names it answers under, beside those of this machine
    origins: Words = ()  # of pages elsewhere that may use it
    public_url: PublicUrl | None = None  # how others reach it, if that is not how it is asked
    models: Words = ()  # of the configured provider, beside the configured one, that a request may name
    any_model: bool = False  # whether a model that nobody knows means the default one
    rate: Rate = "600/minute"  # how often one may hand in
    miss_rate: Rate = "600/minute"  # how often one may ask for what does not exist
    grace_seconds: float = Field(20, gt=0)  # an answer that waits for a job keeps its own status for so long
    heartbeat_seconds: float = Field(10, gt=0)  # and then a blank is sent so often
    linger_seconds: float = Field(5, ge=0)  # a client that is gone may come back before its job is cancelled
    polling_linger_seconds: float = Field(60, ge=0)  # and one that polls a task may be silent
    max_running_per_owner: int = Field(0, ge=0)  # 0: no limit
    max_streams_per_owner: int = Field(5, ge=1)
    max_uploads_per_owner: int = Field(200, ge=1)
    budget_usd_per_day: float = Field(0, ge=0)  # of one owner; 0: no limit
    price_usd: float = Field(0.2, ge=0)  # what an image is thought to cost where no price list tells
    link_seconds: int = Field(3600, ge=60)  # how long a signed link to an image is valid at least
    tokens: Path | None = None  # None: tokens.json in Darkroom's own directory
    secret: Annotated[SecretStr, AfterValidator(_secret)] | None = None  # None: the one in `secret.key`
    webhook_networks: Networks = ()  # private ones that webhooks may lead into
    webhook_schedule: Schedule = (0, 5, 300, 1800, 7200, 18_000, 36_000, 36_000)  # the wait before each try


def read_environment(path: Path, problems: list[Problem]) -> Environment:
    """Read DARKROOM_*: the environment goes before darkroom.env."""
    try:
        return Environment(_env_file=path.parent / "darkroom.env")
    except SettingsError:  # the only setting that is JSON
        problems.append(Problem("DARKROOM_FALLBACKS", "is not valid JSON"))
    except ValidationError as error:
        for item in error.errors(include_input=False, include_url=False):
            name, *rest = item["loc"]
            variable = "DARKROOM_" + str(name).upper().removeprefix("DARKROOM_")
            problems.append(Problem(".".join([variable, *map(str, rest)]), item["msg"]))
    return Environment.model_construct()
