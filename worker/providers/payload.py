"""Looking into JSON that nobody vouches for: a wrong type is the same as nothing."""

from __future__ import annotations

from collections.abc import Iterator

from worker.providers.provider import Json


def mapping(value: Json) -> dict[str, Json]:
    """Take a JSON object, or an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: Json) -> list[Json]:
    """Take a JSON array, or wrap a single value, or nothing."""
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def text(value: Json) -> str:
    """Take a JSON string, or an empty one."""
    return value if isinstance(value, str) else ""


def number(value: Json) -> float | None:
    """Take a JSON number that is finite and not negative."""
    fair = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9
    return float(value) if fair else None


def texts(*values: Json) -> Iterator[str]:
    """Yield those that are strings with something in them."""
    yield from (value for value in values if isinstance(value, str) and value.strip())
