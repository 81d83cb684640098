"""What the doctor says of the configuration and of the keys in it: each problem once, with its own cure."""

from __future__ import annotations

import re
from pathlib import Path

from contract.errors.exceptions import ConfigInvalid, Problem
from contract.provider_specs import SPECS
from contract.settings.loader import Settings, default_config_path, load_settings
from producer.doctor.finding import Finding

INIT = "`darkroom config init` writes an example"
AGAIN = "Fix it, then run doctor again."

_VARIABLE = re.compile(r"environment variable (\S+) is not set")


def check_config(config: Path | None, *, keys_elsewhere: bool = False) -> tuple[list[Finding], Settings | None]:
    """Say what is wrong with the configuration and its keys; the settings are None when they cannot be read.

    Keys may be absent where a stack has them.
    """
    try:
        settings = load_settings(config, needs_keys=False)
    except ConfigInvalid as error:
        path = (config or default_config_path()).expanduser().absolute()
        hint = AGAIN if path.exists() else f"There is no {path}: {INIT}."
        return [Finding("config", False, str(problem), hint) for problem in error.problems], None
    settings = settings.without_keys() if keys_elsewhere else settings
    problems = () if keys_elsewhere else _problems_of_providers(config)
    names = {f"providers.{name}.apiKey": name for name in settings.provider_names}
    of_keys = {names[problem.path]: problem for problem in problems if problem.path in names}
    others = [Finding("config", False, str(problem), AGAIN) for problem in problems if problem.path not in names]
    keys = [_key(settings, name, of_keys.get(name)) for name in settings.provider_names]
    return [*(others or [_file(settings, is_enough=not of_keys)]), *keys], settings


def _problems_of_providers(config: Path | None) -> tuple[Problem, ...]:
    try:
        load_settings(config)
    except ConfigInvalid as error:
        return tuple(error.problems)
    return ()


def _file(settings: Settings, *, is_enough: bool) -> Finding:
    path = settings.config_path
    if path.exists():
        return Finding("config", True, "valid")
    if is_enough:
        return Finding("config", True, f"there is no {path}: defaults are used; {INIT}")
    return Finding("config", False, f"there is no {path}: defaults are used", f"{INIT}.")


def _key(settings: Settings, name: str, problem: Problem | None) -> Finding:
    label, path = f"key of {name}", settings.config_path
    spec = SPECS.get(name)
    config = settings.providers.get(name)
    if config is not None and config.key.strip():
        return Finding(label, True, "present")
    if spec is not None and not spec.needs_key:
        return Finding(label, True, "not needed")
    if settings.env.keys_elsewhere:
        return Finding(label, True, "not here: workers have it (DARKROOM_KEYS_ELSEWHERE)")
    if problem and (variable := _VARIABLE.search(problem.message)):
        hint = f"Set {variable[1]} in the environment that Darkroom is started from, or write the key into {path}."
        return Finding(label, False, f"missing: {variable[0]}", hint)
    hint = f"Set providers.{name}.apiKey in {path}, best as ${{{spec.key_variable if spec else 'VARIABLE'}}}."
    return Finding(label, False, "missing", hint)
