"""The arguments of a tool call as chat models write them, read as the tool's schema means them.

Models send "" or "null" for what they do not mean to give, numbers as text, and lists as text. nanobot loads this while
it starts, so it imports nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

_ABSENT = frozenset({"", "none", "null", "undefined"})
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(?:\.[0-9]{0,15})?", re.ASCII)
_SINGLE_QUOTED = re.compile(r"\[\s*(?:'[^']*'\s*(?:,\s*)?)*\]")  # a list as Python writes it
_IDS = re.compile(r"(?:(?:img|up)_\w+|latest)(?:[\s,]+(?:(?:img|up)_\w+|latest))*", re.ASCII)


def understand(given: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Read arguments by the schema of a tool: leave out what is absent, and give the others the type they stand for.

    What cannot be understood stays as it is, for the check of the arguments to tell.
    """
    fields: Mapping[str, Any] = schema["properties"]
    required: Collection[str] = schema.get("required", ())
    return {
        name: _value(value, fields.get(name, {}))
        for name, value in _unwrapped(given, fields).items()
        if not (value is None or (name not in required and _is_absent(value, fields.get(name, {}))))
    }


def _unwrapped(given: Mapping[str, Any], fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Take arguments out of the one argument `arguments`, where some models put them, as text too."""
    if given.keys() != {"arguments"} or "arguments" in fields:
        return given
    inside = given["arguments"]
    if isinstance(inside, str):
        inside = _parsed(inside)
    return inside if isinstance(inside, Mapping) else given


def _is_absent(value: object, field: Mapping[str, Any]) -> bool:
    """Tell whether a value stands for none; a value that the field may have does not."""
    return isinstance(value, str) and value.strip().lower() in _ABSENT and value not in field.get("enum", ())


def _value(value: Any, field: Mapping[str, Any]) -> Any:
    match field.get("type"):
        case "integer" | "number" as kind:
            return _number(value, is_whole=kind == "integer")
        case "string" if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        case "array":
            return _list(value)
    return value


def _number(value: Any, *, is_whole: bool) -> Any:
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value) if "." in value else int(value)
    if is_whole and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _list(value: Any) -> Any:
    """Read a list, or the text of one; other text is its only item, unless it is several ids."""
    if isinstance(value, str):
        items = _listed(value)
        if items is not None:
            value = items
        elif _IDS.fullmatch(value.strip()):
            value = re.split(r"[\s,]+", value.strip())
        else:
            value = [value]
    if not isinstance(value, list):
        return value
    inside = [_listed(item) if isinstance(item, str) else None for item in value]
    flat = [each for item, items in zip(value, inside, strict=True) for each in ([item] if items is None else items)]
    return [item for item in flat if not (item is None or _is_absent(item, {}))]


def _listed(text: str) -> list[Any] | None:
    """Read the text of a list, as JSON or Python writes it, or text that is quoted once more; None for other text."""
    text = text.strip()
    if not text.startswith(("[", '"')):
        return None
    if _SINGLE_QUOTED.fullmatch(text):
        return re.findall(r"'([^']*)'", text)
    match _parsed(text):
        case list() as items:
            return items
        case str() as item:
            inside = _listed(item)
            return [item] if inside is None else inside
    return None


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
