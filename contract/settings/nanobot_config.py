"""nanobot's config.json: reading the sections that concern images, with ${VAR} filled in.

Nothing is raised here: problems are collected, so that all of them can be told at once. A problem
names the JSON path and what to do, never a value that may be secret.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import unquote

from pydantic import AfterValidator, AliasGenerator, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from contract.artifacts.layout import folder_parts
from contract.errors.catalogue.configuration import SAVE_DIR_INVALID, UNKNOWN_PROVIDER
from contract.errors.catalogue.table import KINDS
from contract.errors.exceptions import DarkroomError, Problem, Refused
from contract.jobs.request import AspectRatio, ImageSize, ModelName
from contract.provider_specs import DEFAULT, SPECS

MAX_CONFIG_BYTES = 4 * 2**20
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_BRACELESS = re.compile(r"\$([A-Z_][A-Z0-9_]*)")


def _header(value: SecretStr) -> SecretStr:
    text = value.get_secret_value().strip()
    if not (text.isascii() and text.isprintable()):
        raise PydanticCustomError("header_invalid", "must be one line of plain ASCII, as it goes into an HTTP header")
    return SecretStr(text)


HeaderName = Annotated[str, Field(pattern=r"^[0-9A-Za-z!#$%&'*+.^_`|~-]+$")]
HeaderText = Annotated[SecretStr, AfterValidator(_header)]

M = TypeVar("M", bound="NanobotModel")


class NanobotModel(BaseModel):
    """The base of nanobot's formats: camelCase or snake_case, and what is new in nanobot is ignored."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, alias_generator=AliasGenerator(validation_alias=to_camel)
    )


class ProviderConfig(NanobotModel):
    """How to reach a provider, from `providers.<name>`."""

    api_key: HeaderText | None = None
    api_base: str | None = None
    extra_headers: dict[HeaderName, HeaderText] = {}
    extra_body: dict[str, Any] = {}
    proxy: SecretStr | None = None

    @property
    def key(self) -> str:
        """The key itself, for the code that sends it; empty without one."""
        return self.api_key.get_secret_value() if self.api_key else ""

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values of the configured headers, which may be keys too, and the proxy's login."""
        headers = tuple(value.get_secret_value() for value in self.extra_headers.values())
        proxy = self.proxy.get_secret_value() if self.proxy else ""
        login = proxy.partition("://")[2].partition("/")[0].rpartition("@")[0]
        password = login.partition(":")[2]
        return (*headers, *filter(None, (password, unquote(password), unquote(login))))


def _supported(provider: str) -> str:
    if provider not in SPECS:
        raise PydanticCustomError(UNKNOWN_PROVIDER.code, "not supported", {"provider": provider})
    return provider


def _plain(save_dir: str) -> str:
    try:
        folder_parts(save_dir, datetime.now(UTC))
    except Refused as error:
        raise PydanticCustomError(SAVE_DIR_INVALID.code, "no plain directory") from error
    return save_dir


class ImageGeneration(NanobotModel):
    """The defaults of a request, from `tools.imageGeneration`."""

    enabled: bool = False  # the switch of nanobot's image tool; other ways in do not look at it
    provider: Annotated[str, AfterValidator(_supported)] = DEFAULT.name
    model: ModelName = DEFAULT.model
    default_aspect_ratio: AspectRatio = "1:1"
    default_image_size: ImageSize = "1K"
    max_images_per_turn: int = Field(4, ge=1, le=8, strict=True)
    save_dir: Annotated[str, AfterValidator(_plain)] = "generated"


def read_config(path: Path, problems: list[Problem], *, may_be_missing: bool) -> dict[str, Any]:
    """Read the whole file; one with a problem counts as empty."""
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            problems.append(Problem(str(path), "is too large to be a configuration"))
            return {}
        raw = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if not may_be_missing:
            problems.append(
                Problem(str(path), "does not exist; create it as README shows, or name another in DARKROOM_CONFIG")
            )
        return {}
    except json.JSONDecodeError as error:
        problems.append(Problem(str(path), f"is not valid JSON: {error.msg}, line {error.lineno} column {error.colno}"))
        return {}
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or a number of 5,000 digits
        problems.append(Problem(str(path), f"cannot be read ({type(error).__name__}); check its owner and encoding"))
        return {}
    except RecursionError:
        problems.append(Problem(str(path), "is nested too deeply"))
        return {}
    if not isinstance(raw, dict):
        problems.append(Problem(str(path), "must be a JSON object"))
        return {}
    return raw


def variables_beside_keys(path: Path) -> frozenset[str]:
    """Name the environment variables that a config.json refers to anywhere but in `providers`, which workers need."""
    raw = read_config(path, [], may_be_missing=True)
    return frozenset(_VARIABLE.findall(json.dumps({**raw, "providers": None})))


def read_section(model: type[M], raw: dict[str, Any], keys: tuple[str, ...], problems: list[Problem]) -> M:
    """Read one section of config.json; a section with problems counts as empty."""
    found: Any = raw
    for depth, key in enumerate(keys):
        found = {} if found is None else found
        if not isinstance(found, dict):
            problems.append(Problem(".".join(keys[:depth]), "must be an object"))
            return model()
        found = found.get(key, found.get(_snake(key)))
    path = ".".join(keys)
    before = len(problems)
    values = _expand({} if found is None else found, path, problems)
    if not isinstance(values, dict):
        problems.append(Problem(path, "must be an object"))
        return model()
    values = {key: value for key, value in values.items() if value is not None}
    for name in ("defaultAspectRatio", "defaultImageSize"):
        if values.get(name, values.get(_snake(name))) == "":
            values[name] = "auto"  # nanobot's way to say "no hint"
    _find_misspelt(model, values, path, problems)
    try:
        section = model.model_validate(values)
    except ValidationError as error:
        for item in error.errors(include_input=False, include_url=False):
            field, *inside = map(str, item["loc"])
            where = ".".join([path, to_camel(field), *inside])
            problems.append(Problem(where, _sentence(item["type"], item["msg"], item.get("ctx"))))
        return model()
    return section if len(problems) == before else model()


def _sentence(kind: str, message: str, context: dict[str, Any] | None) -> str:
    return DarkroomError(KINDS[kind], **(context or {})).detail if kind in KINDS else message


def _expand(value: Any, path: str, problems: list[Problem]) -> Any:
    """Replace ${VAR} in every string of a section."""
    if isinstance(value, dict):
        return {key: _expand(item, f"{path}.{key}", problems) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, f"{path}[{place}]", problems) for place, item in enumerate(value)]
    if not isinstance(value, str):
        return value
    for name in dict.fromkeys(_VARIABLE.findall(value)):
        if not os.environ.get(name):
            problems.append(
                Problem(path, f"environment variable {name} is not set; confirm it is visible to this process")
            )
    braceless = _BRACELESS.fullmatch(value)
    if braceless:
        problems.append(Problem(path, f"write ${{{braceless[1]}}} with braces to mean the environment variable"))
    if "${" in _VARIABLE.sub("", value):
        problems.append(Problem(path, "has a ${…} that is no plain ${VARIABLE_NAME}"))
    return _VARIABLE.sub(lambda match: os.environ.get(match[1], ""), value)


def _find_misspelt(model: type[NanobotModel], values: dict[str, Any], path: str, problems: list[Problem]) -> None:
    """Refuse a key that is almost one of ours; wholly unknown ones belong to a newer nanobot."""
    known = {to_camel(name) for name in model.model_fields}
    for key in values:
        if key in known or to_camel(key) in known:
            continue
        close = difflib.get_close_matches(to_camel(key), known, n=1, cutoff=0.85)
        if close:
            problems.append(Problem(f"{path}.{key}", f"is not known; did you mean {close[0]}?"))


def read_workspace(raw: dict[str, Any], problems: list[Problem]) -> Path:
    """Find nanobot's workspace directory, from `agents.defaults.workspace`."""
    agents = raw.get("agents")
    defaults = agents.get("defaults") if isinstance(agents, dict) else None
    value = defaults.get("workspace") if isinstance(defaults, dict) else None
    if value is None:
        return Path.home() / ".nanobot" / "workspace"
    text = _expand(value, "agents.defaults.workspace", problems)
    if not isinstance(text, str) or not text:
        problems.append(Problem("agents.defaults.workspace", "must be a path"))
        return Path.home() / ".nanobot" / "workspace"
    return Path(text).expanduser().absolute()


def _snake(camel: str) -> str:
    return re.sub(r"([A-Z])", lambda match: "_" + match[1].lower(), camel)
