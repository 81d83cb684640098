"""Everything that was configured: nanobot's config.json and DARKROOM_*, read once at a process's entry.

config.json is read, never written. All problems are found before any is reported.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError
from redis.asyncio.connection import parse_url

from contract.config import (
    PROVIDERS,
    ImageGeneration,
    ProviderConfig,
    read_config,
    read_section,
    read_workspace,
)
from contract.errors import ConfigInvalid, Problem, Refused
from contract.job import ImageSize, ModelName


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


Fallbacks = Annotated[tuple[Fallback, ...], AfterValidator(_some)]


class Knobs(BaseSettings):
    """Darkroom's own settings: DARKROOM_<NAME>, also from `darkroom.env` beside config.json."""

    model_config = SettingsConfigDict(
        env_prefix="DARKROOM_", env_ignore_empty=True, frozen=True, extra="ignore", allow_inf_nan=False
    )

    redis_url: Annotated[SecretStr, AfterValidator(_redis_url)] = SecretStr("redis://127.0.0.1:6379/0")
    concurrency: int = Field(32, ge=1, le=1000)  # jobs that one worker runs at the same time
    drain_seconds: float = Field(30, ge=0)
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
    task_events: bool = False  # Celery events, for Flower


class Settings(BaseModel):
    """Everything that was configured, checked."""

    model_config = ConfigDict(frozen=True)

    config_path: Path
    image: ImageGeneration
    providers: dict[str, ProviderConfig]
    workspace: Path
    knobs: Knobs

    @property
    def media(self) -> Path:
        """The media directory of this nanobot instance."""
        return self.config_path.parent / "media"

    @property
    def home(self) -> Path:
        """Darkroom's own directory beside config.json."""
        return self.config_path.parent / "darkroom"

    @property
    def provider_names(self) -> tuple[str, ...]:
        """The providers that a job may ask, the configured one first."""
        others = [rung.provider for rung in self.knobs.fallbacks or () if rung.provider]
        return tuple(dict.fromkeys([self.image.provider, *others]))

    def with_redis(self, url: str) -> Settings:
        """Make the same settings with another Redis."""
        return self.model_copy(update={"knobs": self.knobs.model_copy(update={"redis_url": SecretStr(url)})})

    def provider(self, name: str) -> ProviderConfig:
        """Find a provider's settings. Raises Refused (`unknown_provider`, `missing_api_key`)."""
        if name not in PROVIDERS:
            raise Refused("unknown_provider", provider=name)
        config = self.providers.get(name)
        if config is None or config.api_key is None or not config.api_key.get_secret_value().strip():
            raise Refused("missing_api_key", provider=name)
        return config


def default_config_path() -> Path:
    """Where nanobot keeps its configuration."""
    return Path.home() / ".nanobot" / "config.json"


def load_settings(config: Path | None = None, *, needs_keys: bool = True) -> Settings:
    """Read and check the whole configuration. Raises ConfigInvalid with every problem.

    `config` goes before DARKROOM_CONFIG, and that before ~/.nanobot/config.json, which alone may be
    missing. With `needs_keys=False` problems of providers are left to whoever calls one.
    """
    named = config or (Path(os.environ["DARKROOM_CONFIG"]) if os.environ.get("DARKROOM_CONFIG") else None)
    path = (named or default_config_path()).expanduser().absolute()
    problems: list[Problem] = []
    provider_problems: list[Problem] = []
    raw = read_config(path, problems, may_be_missing=named is None)
    knobs = _knobs(path, problems)
    image = read_section(ImageGeneration, raw, ("tools", "imageGeneration"), problems)
    used = {image.provider, *(rung.provider for rung in knobs.fallbacks or ())}
    providers = {
        name: read_section(ProviderConfig, raw, ("providers", name), provider_problems if name in used else [])
        for name in PROVIDERS
    }
    workspace = read_workspace(raw, problems)
    settings = Settings(config_path=path, image=image, providers=providers, workspace=workspace, knobs=knobs)
    _check_providers(settings, provider_problems)
    if not (settings.media / image.save_dir).resolve().is_relative_to(settings.media.resolve()):
        problems.append(Problem("tools.imageGeneration.saveDir", Refused("save_dir_invalid").detail))
    if needs_keys and not any(problem.path == "tools.imageGeneration.provider" for problem in problems):
        problems += provider_problems
    if problems:
        raise ConfigInvalid(list(dict.fromkeys(problems)))
    return settings


def _knobs(path: Path, problems: list[Problem]) -> Knobs:
    """Read DARKROOM_*: the environment goes before darkroom.env."""
    try:
        return Knobs(_env_file=path.parent / "darkroom.env")
    except SettingsError:  # the only setting that is JSON
        problems.append(Problem("DARKROOM_FALLBACKS", "is not valid JSON"))
    except ValidationError as error:
        for item in error.errors(include_input=False, include_url=False):
            name, *rest = item["loc"]
            variable = "DARKROOM_" + str(name).upper().removeprefix("DARKROOM_")
            problems.append(Problem(".".join([variable, *map(str, rest)]), item["msg"]))
    return Knobs.model_construct()


def _check_providers(settings: Settings, problems: list[Problem]) -> None:
    """Find what is wrong with the providers a job may ask."""
    for name in settings.provider_names:
        found = any(problem.path.startswith(f"providers.{name}") for problem in problems)
        if name not in PROVIDERS:
            problems.append(Problem("DARKROOM_FALLBACKS", Refused("unknown_provider", provider=name).detail))
            continue
        if not found:
            try:
                settings.provider(name)
            except Refused as error:
                problems.append(Problem(f"providers.{name}.apiKey", error.detail))
        base, proxy = settings.providers[name].api_base, settings.providers[name].proxy
        if base is not None and not _is_fair_base(base):
            problems.append(
                Problem(f"providers.{name}.apiBase", "must be an http(s) address without user name, query or fragment")
            )
        if proxy is not None and not proxy.get_secret_value().startswith(("http://", "https://")):
            problems.append(Problem(f"providers.{name}.proxy", "must be an http(s) address"))


def _is_fair_base(base: str) -> bool:
    try:
        parts = urlsplit(base)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    fair = parts.scheme in ("http", "https") and bool(host) and not any(char in base for char in "@?#")
    return fair and not (host or "").startswith("169.254.")
