"""The fields of a request as the ways in offer them, read off `JobRequest`.

nanobot's tools read this while nanobot runs, so it imports nothing but the definition.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from contract.jobs.request import CONFIGURED, JobRequest, Offered

_OF_TOOLS = ("type", "items", "enum", "minimum")  # the rest is checked, but not told to models: clients differ in it


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestField:
    """One field, with what everybody needs to offer it."""

    name: str
    python_type: Any  # str, int, float or list[str], without None
    default: Any
    is_required: bool
    description: str
    schema: dict[str, Any]  # of JSON, without null
    offered: Offered


def request_fields() -> Iterator[RequestField]:
    """List the fields in their order."""
    schemas = JobRequest.model_json_schema()["properties"]
    for name, field in JobRequest.model_fields.items():
        choices = schemas[name].get("anyOf", [schemas[name]])
        yield RequestField(
            name=name,
            python_type=_plain(field.annotation),
            default=None if field.is_required() else field.default,
            is_required=field.is_required() and name not in CONFIGURED,
            description=field.description or "",
            schema=next(choice for choice in choices if choice.get("type") != "null"),
            offered=next((each for each in field.metadata if isinstance(each, Offered)), Offered()),
        )


def tool_parameters() -> dict[str, dict[str, Any]]:
    """Write the JSON schemas of the fields that chat models may fill in."""
    return {
        field.name: {
            "description": field.offered.to_models,
            **{name: field.schema[name] for name in _OF_TOOLS if name in field.schema},
        }
        for field in request_fields()
        if field.offered.to_models
    }


def _plain(annotation: Any) -> Any:
    """Find the plain type of an annotation: what a person or a shell would give."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _plain(inside[0])
    if origin in (Union, UnionType):
        return _plain(next(each for each in inside if each is not type(None)))
    if origin is Literal:
        return str
    return list[str] if origin is tuple else annotation
