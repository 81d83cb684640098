"""The MCP tools as models see them: what they do, what they take, and how that is checked."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, TypeVar

from mcp_types import Tool, ToolAnnotations
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.json_schema import SkipJsonSchema

from contract.errors.catalogue.request import TYPE_ERROR
from contract.errors.exceptions import Refused
from contract.jobs.job import JobState
from producer.mcp.answer import JobAnswer, JobListAnswer
from producer.validation.refusals import refused_by, refused_field
from producer.validation.request_fields import request_fields, tool_parameters
from producer.validation.tool_arguments import understand

MAX_WAIT_S = 20.0  # clients give up after 30 s
MAX_LISTED = 50


class _Arguments(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class LookArguments(_Arguments):
    """What `get_image_job` takes."""

    job_id: str = Field(description="The job_id from the answer of generate_image.")
    wait_seconds: Annotated[float, Field(ge=0, le=MAX_WAIT_S)] | SkipJsonSchema[None] = Field(
        None, description="Seconds to wait for the job to end before answering; 0 by default."
    )
    prompt: str | SkipJsonSchema[None] = Field(
        None, description="Changes nothing: for clients that record it with the images."
    )
    model: str | SkipJsonSchema[None] = Field(
        None, description="Changes nothing: for clients that record it with the images."
    )


class CancelArguments(_Arguments):
    """What `cancel_image_job` takes."""

    job_id: str = Field(description="The job_id from the answer of generate_image.")


class ListArguments(_Arguments):
    """What `list_image_jobs` takes."""

    limit: Annotated[int, Field(ge=1, le=MAX_LISTED)] | SkipJsonSchema[None] = Field(
        None, description="The largest number of jobs; 10 by default."
    )
    state: Literal[tuple(map(str, JobState))] | SkipJsonSchema[None] = Field(  # type: ignore[valid-type]
        None, description="Only jobs in this state."
    )
    cursor: str | SkipJsonSchema[None] = Field(None, description="`next` of the previous page.")


_KEY = {"description": "A text of your own for this request: calls with the same one make only one job."}
GENERATE_SCHEMA: dict[str, Any] = {  # only told, as the values are checked like those of every job
    "type": "object",
    "additionalProperties": False,
    "properties": {**tool_parameters(), "idempotency_key": {**_KEY, "type": "string"}},
    "required": [field.name for field in request_fields() if field.is_required],
}

ArgumentsT = TypeVar("ArgumentsT", bound=_Arguments)


def read(given: Mapping[str, Any], model: type[ArgumentsT]) -> ArgumentsT:
    """Check the arguments of a call. Raises Refused for the first problem, with the others beside it."""
    try:
        return model.model_validate(understand(given, _schema(model)))
    except ValidationError as error:
        raise refused_by(error, model) from error


def job_fields(given: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Split the arguments of `generate_image` into the fields of a job and an idempotency key. Raises Refused."""
    fields = understand(given, GENERATE_SCHEMA)
    for name in fields.keys() - GENERATE_SCHEMA["properties"].keys():
        raise refused_field(name, known=GENERATE_SCHEMA["properties"])
    key = fields.pop("idempotency_key", None)
    if not (key is None or isinstance(key, str)):
        raise Refused(TYPE_ERROR, field="idempotency_key", expected="it must be text")
    return fields, key


@cache
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


def _tool(name: str, takes: dict[str, Any], answers: type[BaseModel], words: str, **hints: bool) -> Tool:
    return Tool(
        name=name,
        description=words,
        input_schema=takes,
        output_schema=_schema(answers),
        annotations=ToolAnnotations(**hints),
    )


TOOLS = (
    _tool(
        "generate_image",
        GENERATE_SCHEMA,
        JobAnswer,
        "Make images from a description, or change existing ones. Waits for them for a while. If they take longer the "
        "answer has a job_id instead: the job goes on by itself; tell the user it is under way, do not call this "
        "again for it, and ask get_image_job later. Each further call makes further images, which cost money. If a "
        "call times out its job goes on, too: list_image_jobs finds it.",
        destructive_hint=False,
        open_world_hint=True,
    ),
    _tool(
        "get_image_job",
        _schema(LookArguments),
        JobAnswer,
        "Look how an image job stands, and get its images once it is done. With wait_seconds the answer comes when "
        "the job is over, or after so many seconds. prompt and model change nothing: some clients note them beside "
        "the images, so repeat those of the job if yours does.",
        read_only_hint=True,
    ),
    _tool(
        "cancel_image_job",
        _schema(CancelArguments),
        JobAnswer,
        "Cancel an image job that is not over, when the user does not want it any more.",
        destructive_hint=True,
        idempotent_hint=True,
    ),
    _tool(
        "list_image_jobs",
        _schema(ListArguments),
        JobListAnswer,
        "List the image jobs of this user, newest first: to find a job_id, or the ids of earlier images.",
        read_only_hint=True,
    ),
)
