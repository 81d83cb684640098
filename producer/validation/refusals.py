"""What pydantic finds wrong with what a caller sent, in our words: the one translator."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from contract.errors.catalogue.request import TYPE_ERROR, UNKNOWN_FIELD
from contract.errors.catalogue.table import KINDS
from contract.errors.exceptions import Refused
from contract.errors.kind import ErrorKind

MOST_PROBLEMS = 20  # reported for one request
_FIELD = re.compile(r"\w{1,50}", re.ASCII)
_EXPECTED = {
    "float_type": "it must be a number",
    "int_type": "it must be a whole number",
    "missing": "it must be given",
    "string_type": "it must be text",
    "tuple_type": "it must be a list",
}

KindOf = Callable[[str, str], ErrorKind | None]  # of pydantic's name of a problem and a field


def refused_by(error: ValidationError, model: type[BaseModel], kind_of: KindOf = lambda *_: None) -> Refused:
    """Make the error to raise for what is wrong: the first problem, with the others attached.

    `kind_of` tells where a field has an error code of its own.
    """
    items = [item for item in error.errors(include_input=False, include_url=False) if item["type"] != "none_required"]
    first, *others = [_refusal(dict(item), model, kind_of) for item in items[:MOST_PROBLEMS]]
    first.others = tuple(others)
    return first


def refused_field(name: str, *, known: Collection[str]) -> Refused:
    """Make the error for a field that there is not; a name that is no word is not repeated."""
    close = difflib.get_close_matches(name, known, n=1)
    field = name if _FIELD.fullmatch(name) else None
    return Refused(UNKNOWN_FIELD, field=field, suggestion=close[0] if close else None)


def _refusal(item: Mapping[str, Any], model: type[BaseModel], kind_of: KindOf) -> Refused:
    name = str(item["loc"][0]) if item["loc"] else ""
    return _told(item, name, model, kind_of(item["type"], name)).at(*item["loc"])


def _told(item: Mapping[str, Any], name: str, model: type[BaseModel], own: ErrorKind | None) -> Refused:
    problem = item["type"]
    if problem in KINDS:  # our own checks tell the code
        return Refused(KINDS[problem], **item.get("ctx", {}))
    if problem == "extra_forbidden":
        return refused_field(name, known=model.model_fields)
    if own is not None:
        return Refused(own)
    words: str = item["msg"]
    return Refused(TYPE_ERROR, field=name, expected=_EXPECTED.get(problem, words[:1].lower() + words[1:]))
