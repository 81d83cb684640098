"""The MCP tools as models see them: what they do, what they take, and how that is checked."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from mcp_types import Tool, ToolAnnotations
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.json_schema import SkipJsonSchema

from contract.errors.exceptions import Refused
from contract.errors.request_catalogue import TYPE_ERROR, UNKNOWN_FIELD
from contract.jobs.request import RATIOS
from producer.mcp.answer import JobAnswer, JobListAnswer

MAX_WAIT_S = 20.0  # clients give up after 30 s
MAX_LISTED = 50

_FIELD = re.compile(r"\w{1,50}", re.ASCII)


class _Arguments(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class GenerateArguments(_Arguments):
    """What `generate_image` takes; only told, as the values are checked like those of every job."""

    prompt: str = Field(
        description="What the picture shall show, or how a reference shall be changed: subject, style, light, "
        "composition, and any text in it, in as much detail as is known."
    )
    reference_images: list[str] | SkipJsonSchema[None] = Field(
        None,
        description="Images to change or to go by: artifact ids of earlier answers (img_…), ids of uploads (up_…), "
        "`latest` for the newest image made here by this user, or paths of image files where you may name paths. "
        "Artifact ids are the safest.",
    )
    aspect_ratio: str | SkipJsonSchema[None] = Field(
        None,
        description="Width to height, such as 1:1, 3:4 or 16:9; left out, it is as configured.",
        json_schema_extra={"enum": list(RATIOS)},
    )
    image_size: str | SkipJsonSchema[None] = Field(
        None, description="512, 1K, 2K, 4K, or WIDTHxHEIGHT in pixels; left out, it is as configured."
    )
    count: Annotated[int, Field(ge=1)] | SkipJsonSchema[None] = Field(
        None, description="How many variants to make at the same time; 1 if left out. Better than several calls."
    )
    idempotency_key: str | SkipJsonSchema[None] = Field(
        None, description="A word of your own for this very request: calls with the same one make one job in all."
    )


class LookArguments(_Arguments):
    """What `get_image_job` takes."""

    job_id: str = Field(description="The job_id that generate_image has answered.")
    wait_seconds: Annotated[float, Field(ge=0, le=MAX_WAIT_S)] | SkipJsonSchema[None] = Field(
        None, description="Wait so long for the job's end before answering; 0 if left out."
    )
    prompt: str | SkipJsonSchema[None] = Field(
        None, description="Changes nothing: for clients that note it beside the images that they get."
    )
    model: str | SkipJsonSchema[None] = Field(
        None, description="Changes nothing: for clients that note it beside the images that they get."
    )


class CancelArguments(_Arguments):
    """What `cancel_image_job` takes."""

    job_id: str = Field(description="The job_id that generate_image has answered.")


class ListArguments(_Arguments):
    """What `list_image_jobs` takes."""

    limit: Annotated[int, Field(ge=1, le=MAX_LISTED)] | SkipJsonSchema[None] = Field(
        None, description="How many at most; 10 if left out."
    )
    state: Literal["queued", "running", "succeeded", "failed", "cancelled", "expired"] | SkipJsonSchema[None] = Field(
        None, description="Only jobs of this state."
    )
    cursor: str | SkipJsonSchema[None] = Field(None, description="`next` of the page before.")


ArgumentsT = TypeVar("ArgumentsT", bound=_Arguments)


def read(given: Mapping[str, Any], model: type[ArgumentsT]) -> ArgumentsT:
    """Check the arguments of a call. Raises Refused for the first problem, with the others beside it."""
    try:
        return model.model_validate(present(given))
    except ValidationError as error:
        items = [item for item in error.errors(include_input=False) if item["type"] != "none_required"]
        first, *others = [_refusal(item["type"], item["loc"], item["msg"], model) for item in items][:20]
        first.others = tuple(others)
        raise first from error


def job_fields(given: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Split the arguments of `generate_image` into the fields of a job and an idempotency key. Raises Refused."""
    fields = present(given)
    for name in fields.keys() - GenerateArguments.model_fields.keys():
        raise _refusal("extra_forbidden", (name,), "", GenerateArguments)
    key = fields.pop("idempotency_key", None)
    if not (key is None or isinstance(key, str)):
        raise Refused(TYPE_ERROR, field="idempotency_key", expected="it must be text")
    return fields, key


def present(given: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is null: models send that for what they do not mean to give."""
    return {name: value for name, value in given.items() if value is not None}


def _refusal(kind: str, place: tuple[int | str, ...], words: str, model: type[BaseModel]) -> Refused:
    name = str(place[0])
    if kind == "extra_forbidden":
        close = difflib.get_close_matches(name, model.model_fields, n=1)
        field = name if _FIELD.fullmatch(name) else None
        return Refused(UNKNOWN_FIELD, field=field, suggestion=close[0] if close else None)
    expected = "it must be given" if kind == "missing" else words[:1].lower() + words[1:]
    return Refused(TYPE_ERROR, field=name, expected=expected)


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    """Write a model's schema without what says nothing: titles, and null as a default."""
    schema = model.model_json_schema()
    for part in (schema, *schema.get("$defs", {}).values()):
        part.pop("title", None)
        for field in part.get("properties", {}).values():
            field.pop("title", None)
            if field.get("default", 0) is None:
                del field["default"]
    schema.pop("description", None)
    return schema


def _tool(name: str, takes: type[_Arguments], answers: type[BaseModel], words: str, **hints: bool) -> Tool:
    return Tool(
        name=name,
        description=words,
        input_schema=_schema(takes),
        output_schema=_schema(answers),
        annotations=ToolAnnotations(**hints),
    )


TOOLS = (
    _tool(
        "generate_image",
        GenerateArguments,
        JobAnswer,
        "Make images from a description, or change existing ones. Waits for them for a while. If they take longer the "
        "answer has a job_id instead: the job goes on by itself; tell the user it is under way, do not call this "
        "again for it, and ask get_image_job later. Each further call makes further images, which cost money.",
        destructive_hint=False,
        open_world_hint=True,
    ),
    _tool(
        "get_image_job",
        LookArguments,
        JobAnswer,
        "Look how an image job stands, and get its images once it is done. With wait_seconds the answer comes when "
        "the job is over, or after so many seconds. prompt and model change nothing: some clients note them beside "
        "the images, so repeat those of the job if yours does.",
        read_only_hint=True,
    ),
    _tool(
        "cancel_image_job",
        CancelArguments,
        JobAnswer,
        "Cancel an image job that is not over, when the user does not want it any more.",
        destructive_hint=True,
        idempotent_hint=True,
    ),
    _tool(
        "list_image_jobs",
        ListArguments,
        JobListAnswer,
        "List the image jobs of this user, newest first: to find a job_id, or the ids of earlier images.",
        read_only_hint=True,
    ),
)
