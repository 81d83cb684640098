"""A sentence with places for values, some of which may be unknown when it is used."""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Formatter
from typing import Protocol

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_TWO_STOPS = re.compile(r"([.!?…])\.(?=\s|$)")  # a provider's text may bring its own full stop


class _Values(Protocol):
    def __getitem__(self, key: str, /) -> object: ...


class MessageTemplate(str):
    """A sentence with values in it that reads well whichever of them are known.

    Of `[one|other|…]` the first part is used whose values are all known; if there is none, nothing.
    """

    __slots__ = ()

    def format_map(self, values: _Values, /) -> str:
        """Fill in what is known; None and "" count as unknown."""
        given = values if isinstance(values, Mapping) else {}
        known = {name: _shown(value) for name, value in given.items() if value not in (None, "")}

        def choose(choice: re.Match[str]) -> str:
            return next((part for part in choice[1].split("|") if _names(part) <= known.keys()), "")

        template = _CHOICE.sub(choose, self)
        unknown = dict.fromkeys(_names(self), "")
        nameless = "The provider" if template.startswith("{provider}") else "the provider"
        filled = template.format_map({**unknown, "provider": nameless, **known})
        return _TWO_STOPS.sub(r"\1", filled)


def _names(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name}


def _shown(value: object) -> str:
    """Write a number without needless digits: 120, 2.5."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if value >= 10 else f"{round(value, 1):g}"
