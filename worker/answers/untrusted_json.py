"""Reading untrusted JSON: a value of a wrong type counts as missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from contract.jobs.pricing import MOST_USD

Json = Any  # untrusted; only the functions of this module read it

_DRAFT = ("thought", "draft", "partial")


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


def is_draft(picture: dict[str, Json]) -> bool:
    """Tell a picture that its vendor marks as an interim one, as Gemini's thoughts and OpenAI's partial images are."""
    return is_partial(picture) or any(picture.get(name) is True for name in _DRAFT)


def is_partial(event: dict[str, Json]) -> bool:
    """Tell an event of a stream with an interim picture."""
    return "partial_image_index" in event or text(event.get("type")).endswith("partial_image")


def told_cost(answer: dict[str, Json]) -> float | None:
    """Read what an answer says that its call has cost in USD; a cost that no call can have is not believed.

    With a key of one's own at the upstream its bill comes on top of the gateway's, which may be 0 then.
    """
    usage = mapping(answer.get("usage"))
    cost, bill = _usd(usage.get("cost")), _usd(mapping(usage.get("cost_details")).get("upstream_inference_cost"))
    is_own = usage.get("is_byok") is True or (usage.get("is_byok") is None and not cost)
    told = [part for part in (cost, bill if is_own else None) if part is not None]
    return sum(told) if told else None


def _usd(value: Json) -> float | None:
    usd = number(value)
    return usd if usd is not None and usd <= MOST_USD else None


def number(value: Json) -> float | None:
    """Take a JSON number that is finite and not negative."""
    fair = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9
    return float(value) if fair else None


def texts(*values: Json) -> Iterator[str]:
    """Yield those that are strings with something in them."""
    yield from (value for value in values if isinstance(value, str) and value.strip())
