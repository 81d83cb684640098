"""The bases of our own formats: what we make ourselves, and what another version may have written."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic_core import CoreSchema


class FrozenModel(BaseModel):
    """The base of our own formats: immutable, nothing unknown in it, and no prompt in its errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        # A serializer that leaves fields out would hide all of them from the schema.
        return handler({name: part for name, part in core_schema.items() if name != "serialization"})


class Stored(FrozenModel):
    """The base of what is kept in Redis or on disk: fields that a newer version has added are ignored."""

    model_config = ConfigDict(extra="ignore")
