"""One bad request of the catalogue, and the answer that it must get."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

JSON = {"Content-Type": "application/json"}
FOX: dict[str, Any] = {"prompt": "a red fox"}
SHORT = 4  # characters: words this short are in sentences of ours by chance


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A request and what it gets; `echo` is what must not be repeated in the answer."""

    row: str
    what: str
    status: int
    code: str
    pointer: str | None = None
    method: str = "POST"
    path: str = "/v1/jobs"
    who: str = "ann"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    echo: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name the case in a test's name."""
        return f"{self.row}-{self.what}"


def job(row: str, what: str, code: str, pointer: str | None = None, *, who: str = "ann", **fields: Any) -> Case:
    """Hand in a job of which some fields are bad: 422."""
    body = json.dumps(FOX | fields).encode()
    echo = tuple(words(fields))
    return Case(row=row, what=what, status=422, code=code, pointer=pointer, who=who, headers=JSON, body=body, echo=echo)


def raw(row: str, what: str, body: bytes, code: str = "json_invalid", *, status: int = 400) -> Case:
    """Hand in a job whose JSON is bad."""
    return Case(row=row, what=what, status=status, code=code, headers=JSON, body=body)


def words(value: object) -> Iterator[str]:
    """List the texts in some JSON that would be known again."""
    if isinstance(value, str) and len(value) > SHORT:
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from words(one)
    elif isinstance(value, dict):
        for one in value.values():
            yield from words(one)
