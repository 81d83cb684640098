"""Everything that was configured: nanobot's config.json and DARKROOM_*, read once at a process's entry.

config.json is read, never written. All problems are found before any is reported.
"""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    SecretStr,
)

from contract.errors.catalogue.configuration import MISSING_API_KEY, SAVE_DIR_INVALID, UNKNOWN_PROVIDER
from contract.errors.exceptions import ConfigInvalid, Problem, Refused
from contract.provider_specs import SPECS
from contract.settings.environment import Environment, read_environment
from contract.settings.nanobot_config import (
    ImageGeneration,
    ProviderConfig,
    read_config,
    read_section,
    read_workspace,
)
from contract.settings.running_stack import Running, find_running

DRAIN_MARGIN_S = 90.0  # an answer that has begun to come has 60 s of its own, and is then read and stored


class Settings(BaseModel):
    """Everything that was configured, checked."""

    model_config = ConfigDict(frozen=True)

    config_path: Path
    image: ImageGeneration
    providers: dict[str, ProviderConfig]
    workspace: Path
    env: Environment

    @property
    def media(self) -> Path:
        """The media directory of this nanobot instance."""
        return self.config_path.parent / "media"

    @property
    def home(self) -> Path:
        """Darkroom's own directory next to config.json."""
        return self.config_path.parent / "darkroom"

    @property
    def tokens_path(self) -> Path:
        """The file of the HTTP gateway's tokens; a relative path starts next to config.json."""
        named = self.env.tokens
        return self.home / "tokens.json" if named is None else self.config_path.parent / named.expanduser()

    @property
    def provider_names(self) -> tuple[str, ...]:
        """The providers that a job may ask, the configured one first."""
        others = [rung.provider for rung in self.env.fallbacks or () if rung.provider]
        return tuple(dict.fromkeys([self.image.provider, *others]))

    @property
    def drain_s(self) -> float:
        """How long running calls may go on when a worker stops: by default as long as one may last at all."""
        env = self.env
        if env.drain_seconds is not None:
            return env.drain_seconds
        asked = [SPECS[name] for name in self.provider_names if name in SPECS]
        usual = [env.attempt_timeout_seconds or spec.timeout_s for spec in asked]
        own = [rung.timeout_seconds for rung in env.fallbacks or () if rung.timeout_seconds]
        return min(max([*usual, *own], default=0.0), env.deadline_seconds) + DRAIN_MARGIN_S

    def models(self, provider: str) -> tuple[str, ...]:
        """The models of a provider that a request may name, its default first."""
        own = (self.image.model, *self.env.models) if provider == self.image.provider else ()
        rungs = self.env.fallbacks or ()
        others = [rung.model for rung in rungs if rung.model and (rung.provider or self.image.provider) == provider]
        return tuple(dict.fromkeys([*own, *others]))

    def with_redis(self, url: str) -> Settings:
        """Make the same settings with another Redis."""
        return self._with(redis_url=SecretStr(url))

    def without_keys(self) -> Settings:
        """Make the same settings for a process that leaves the providers' keys to the workers."""
        return self._with(keys_elsewhere=True)

    def provider(self, name: str) -> ProviderConfig:
        """Find a provider's settings. Raises Refused (`unknown_provider`, `missing_api_key`)."""
        if name not in SPECS:
            raise Refused(UNKNOWN_PROVIDER, provider=name)
        config = self.providers.get(name, ProviderConfig())
        if SPECS[name].needs_key and not config.key.strip():
            raise Refused(MISSING_API_KEY, provider=name)
        return config

    def _with(self, **env: object) -> Settings:
        return self.model_copy(update={"env": self.env.model_copy(update=env)})


def default_config_path() -> Path:
    """Where nanobot keeps its configuration."""
    return Path.home() / ".nanobot" / "config.json"


def config_path() -> Path:
    """Name the configuration this command works with."""
    return Path(os.environ.get("DARKROOM_CONFIG") or default_config_path())


def load_settings(config: Path | None = None, *, needs_keys: bool = True, follows_stack: bool = True) -> Settings:
    """Read and check the whole configuration. Raises ConfigInvalid with every problem.

    `config` goes before DARKROOM_CONFIG, and that before ~/.nanobot/config.json, which alone may be
    missing. With `needs_keys=False` problems of providers are left to the process that calls one.

    Where neither `config` nor DARKROOM_REDIS_URL is given, a stack that `darkroom up` runs from this
    configuration is used: its Redis and its configuration, which differs for a demonstration. Its worker has the keys,
    so this process needs none.
    """
    running = _running_stack() if config is None and follows_stack else None
    if running is not None:
        return _load(Path(running.config), needs_keys=False).with_redis(running.redis_url).without_keys()
    return _load(config, needs_keys=needs_keys)


def _named_config() -> Path | None:
    return Path(os.environ["DARKROOM_CONFIG"]) if os.environ.get("DARKROOM_CONFIG") else None


def _running_stack() -> Running | None:
    """Find the stack that runs from this configuration, unless a Redis was named."""
    path = (_named_config() or default_config_path()).expanduser().absolute()
    running = find_running(path.parent / "darkroom")
    if running is None or "redis_url" in read_environment(path, []).model_fields_set:
        return None
    return running


def _load(config: Path | None, *, needs_keys: bool) -> Settings:
    """Read and check the whole configuration, wherever a stack may run."""
    named = config or _named_config()
    path = (named or default_config_path()).expanduser().absolute()
    problems: list[Problem] = []
    provider_problems: list[Problem] = []
    raw = read_config(path, problems, may_be_missing=named is None)
    env = read_environment(path, problems)
    image = read_section(ImageGeneration, raw, ("tools", "imageGeneration"), problems)
    used = {image.provider, *(rung.provider for rung in env.fallbacks or ())}
    providers = {
        name: read_section(ProviderConfig, raw, ("providers", name), provider_problems if name in used else [])
        for name in SPECS
    }
    workspace = read_workspace(raw, problems)
    settings = Settings(config_path=path, image=image, providers=providers, workspace=workspace, env=env)
    _check_providers(settings, provider_problems)
    problems += _save_dir_problems(settings.media, image.save_dir)
    is_known = not any(problem.path == "tools.imageGeneration.provider" for problem in problems)
    if needs_keys and is_known and not env.keys_elsewhere:
        problems += provider_problems
    if problems:
        raise ConfigInvalid(list(dict.fromkeys(problems)))
    return settings


def _save_dir_problems(media: Path, save_dir: str) -> list[Problem]:
    """Find what is wrong with the directory of images, and whether another one was meant that is there."""
    name = "tools.imageGeneration.saveDir"
    if not (media / save_dir).resolve().is_relative_to(media.resolve()):
        return [Problem(name, Refused(SAVE_DIR_INVALID).detail)]
    at = media
    for part in Path(save_dir).parts:
        if twin := _twin_of(at, part):
            return [Problem(name, f"differs from the directory {twin} only in case or Unicode form; write it as that")]
        at /= part
    return []


def _twin_of(folder: Path, name: str) -> str | None:
    """Name what people, and some file systems, take for the same name, unless that name itself is there."""
    try:
        there = [path.name for path in folder.iterdir()]
    except OSError:
        return None
    alike = [each for each in there if _folded(each) == _folded(name)]
    return None if name in there or not alike else ascii(alike[0])


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKD", name).casefold())


def _check_providers(settings: Settings, problems: list[Problem]) -> None:
    """Find what is wrong with the providers a job may ask."""
    for name in settings.provider_names:
        found = any(problem.path.startswith(f"providers.{name}") for problem in problems)
        if name not in SPECS:
            problems.append(Problem("DARKROOM_FALLBACKS", Refused(UNKNOWN_PROVIDER, provider=name).detail))
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
