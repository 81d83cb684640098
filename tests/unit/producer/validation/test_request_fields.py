"""One definition of a request's fields: what HTTP, MCP, nanobot and the command line offer is read off it."""

from __future__ import annotations

import inspect
from typing import Annotated, Any, get_args

import pytest
from pydantic import Field

from contract.aspect_ratio import RATIOS
from contract.jobs.request import JobRequest, Offered
from producer.api.openapi import Submission
from producer.cli.job_commands import generate
from producer.cli.options import _parameter
from producer.mcp.tools import GENERATE_SCHEMA
from producer.validation import request_fields as module
from producer.validation.request_fields import request_fields, tool_parameters

BESIDE = ["conversation", "webhook_url", "webhook_secret"]  # fields of HTTP that no request has


class SeededRequest(JobRequest):
    """A request with one field more."""

    seed: Annotated[int | None, Offered(to_models="The same seed makes a similar picture.")] = Field(
        None, ge=0, description="A number that makes a picture repeatable."
    )


def plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Leave out of a field's schema what is no constraint."""
    return {name: value for name, value in schema.items() if name not in ("description", "title", "default")}


def test_every_field_is_described_for_people() -> None:
    assert [field.name for field in request_fields() if len(field.description) < 20] == []


def test_http_takes_every_field_and_says_what_it_may_be() -> None:
    properties = Submission.model_json_schema()["properties"]
    assert list(properties) == [*JobRequest.model_fields, *BESIDE]
    assert Submission.model_json_schema()["required"] == ["prompt"]
    assert [
        field.name for field in request_fields() if properties[field.name]["description"] != field.description
    ] == []
    time_limit = {"anyOf": [{"type": "number", "minimum": 1}, {"type": "null"}]}
    text = {"anyOf": [{"type": "string"}, {"type": "null"}]}
    expected = {
        "prompt": {"type": "string", "minLength": 1, "maxLength": 32_000},
        "count": {"type": "integer", "minimum": 1, "maximum": 8},
        "aspect_ratio": {"anyOf": [{"type": "string", "enum": list(RATIOS)}, {"type": "null"}]},
        "image_size": {
            "anyOf": [
                {"type": "string", "pattern": r"^(512|1K|2K|4K|0\.5K|auto|[1-9][0-9]{1,3}x[1-9][0-9]{1,3})$"},
                {"type": "null"},
            ]
        },
        "reference_images": {"type": "array", "items": {"type": "string"}, "maxItems": 16},
        "quality": {"anyOf": [{"type": "string", "enum": ["low", "medium", "high"]}, {"type": "null"}]},
        "fallback": {"anyOf": [{"type": "string", "enum": ["any", "quality", "size", "none"]}, {"type": "null"}]},
        "attempt_timeout_seconds": time_limit,
        "deadline_seconds": time_limit,
        "provider": text,
        "model": text,
    }
    assert {name: plain(properties[name]) for name in expected} == expected


def test_models_are_told_of_some_fields_and_only_what_all_clients_understand() -> None:
    assert GENERATE_SCHEMA["required"] == ["prompt"]
    properties = GENERATE_SCHEMA["properties"]
    told = [field.name for field in request_fields() if field.offered.to_models]
    assert list(properties) == [*told, "idempotency_key"]
    expected = {
        "prompt": {"type": "string"},
        "count": {"type": "integer", "minimum": 1},
        "aspect_ratio": {"type": "string", "enum": list(RATIOS)},
        "image_size": {"type": "string"},
        "reference_images": {"type": "array", "items": {"type": "string"}},
        "idempotency_key": {"type": "string"},
    }
    assert {name: plain(properties[name]) for name in expected} == expected
    assert not properties.keys() & {"provider", "model", "fallback", "deadline_seconds"}, "what the operator pays for"


def test_the_command_line_has_every_field() -> None:
    parameters = inspect.signature(generate).parameters
    assert list(parameters)[: len(JobRequest.model_fields)] == list(JobRequest.model_fields)
    defaults = {name: parameters[name].default for name in JobRequest.model_fields}
    assert defaults == {**dict.fromkeys(JobRequest.model_fields), "prompt": inspect.Parameter.empty, "count": 1}


def test_a_field_is_offered_everywhere_once_it_is_defined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "JobRequest", SeededRequest)
    *_, seed = request_fields()
    assert (seed.name, seed.python_type, seed.default, seed.is_required) == ("seed", int, None, False)
    assert tool_parameters()["seed"] == {
        "description": "The same seed makes a similar picture.",
        "type": "integer",
        "minimum": 0,
    }
    option = _parameter(seed)
    kind, shown = get_args(option.annotation)
    assert (kind, shown.default, shown.help) == (int | None, "--seed", "A number that makes a picture repeatable.")
