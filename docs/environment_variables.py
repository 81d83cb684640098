"""What is told of Darkroom's variables, read off `Environment`: a table for people, and .env.example for containers."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import SecretStr

from contract.settings.environment import APART, GROUPS, PREFIX, Default
from contract.settings.environment_types import Fallback

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / ".env.example"
WIDTH = 118
_TYPES = {bool: "true or false", int: "whole number", float: "number", Path: "path", str: "text", SecretStr: "text"}
_BLOCK = re.compile(r"(# --- Darkroom, made by `make docs` -+\n).*?(?=# --- )", re.DOTALL)
_PASSED_ON = re.compile(r"\$\{(DARKROOM_\w+):-\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One variable, in words."""

    name: str
    type: str
    default: str
    sentence: str
    example: str
    shown: str  # a value that may be written: the default, or the example where that cannot be
    is_in_words: bool  # whether the default has to be told beside the value


def variables(group: str) -> Iterator[Variable]:
    """List the variables of a group."""
    for name, field in GROUPS[group].model_fields.items():
        words = next((each.words for each in field.metadata if isinstance(each, Default)), "")
        value, example = _written(field.default), next(iter(field.examples or ()), "")
        plain = f"`{value}`" if value else "none"
        yield Variable(
            name=PREFIX + name.upper(),
            type=_type(field.annotation),
            default=f"{plain}: {words}" if value == "0" and words else words or plain,
            sentence=field.description or "",
            example=example,
            shown=value or example,
            is_in_words=bool(words) or not value,
        )


def tables() -> Iterator[str]:
    """Make a table for each group."""
    yield from _table("Only in the environment", (("text", *each) for each in APART))
    for group in GROUPS:
        yield from _table(
            group, ((each.type, each.name, each.default, _with_example(each)) for each in variables(group))
        )


def example(text: str, compose: str) -> str:
    """Fill in the variables that docker-compose.yml passes on, but not the secret, which has no default."""
    passed_on = set(_PASSED_ON.findall(compose)) - {"DARKROOM_SECRET"}
    told = (each for group in GROUPS for each in variables(group) if each.name in passed_on)
    return _BLOCK.sub(lambda found: found[1] + "\n" + "\n".join(map(_lines, told)) + "\n", text)


def _table(title: str, rows: Iterator[tuple[str, str, str, str]]) -> Iterator[str]:
    yield f"### {title}\n"
    yield "| variable | type | default | meaning |"
    yield "|---|---|---|---|"
    yield from (f"| `{name}` | {kind} | {default} | {sentence} |" for kind, name, default, sentence in rows)
    yield ""


def _lines(variable: Variable) -> str:
    told = f"{variable.sentence[:1].upper()}{variable.sentence[1:]}."
    if variable.is_in_words:
        told += f" Default: {variable.default.removeprefix('`0`: ')}"
    quoted = f"'{variable.shown}'" if " " in variable.shown else variable.shown
    return "".join(f"# {line}\n" for line in textwrap.wrap(told, WIDTH)) + f"# {variable.name}={quoted}\n"


def _with_example(variable: Variable) -> str:
    """Tell what a variable is for, with an example unless it is a mere number."""
    is_telling = variable.example and not variable.example.isdigit()
    return f"{variable.sentence}: `{variable.example}`" if is_telling else variable.sentence


def _written(value: Any) -> str:
    """Write a default as one writes it into the environment; nothing for one that cannot be written."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(_written, value))
    if isinstance(value, int | float):
        return f"{value:.10g}"
    return value if isinstance(value, str) else ""


def _type(annotation: Any) -> str:
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin in (Annotated, Union, UnionType):
        return _type(inside[0])
    if origin is tuple:
        return "JSON" if inside[0] is Fallback else "list"
    return _TYPES[annotation]
