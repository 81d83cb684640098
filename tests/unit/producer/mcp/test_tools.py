"""The arguments of tools: what is told of them, and how they are checked."""

from __future__ import annotations

from typing import Any

import pytest

from contract.errors.exceptions import Refused
from contract.jobs.job import JobState
from producer.mcp.tools import TOOLS, ListArguments, LookArguments, job_fields, read


def problems(given: dict[str, Any], model: Any = LookArguments) -> list[str]:
    """Tell what is wrong with arguments."""
    with pytest.raises(Refused) as refused:
        read(given, model)
    return [error.detail for error in (refused.value, *refused.value.others)]


def test_schemas_say_what_matters_and_no_null() -> None:
    for tool in TOOLS:
        assert tool.input_schema["additionalProperties"] is False
        for field in tool.input_schema["properties"].values():
            assert field["description"]
            assert isinstance(field["type"], str)
            assert field.keys().isdisjoint({"anyOf", "default", "title"})


def test_states_are_those_of_jobs() -> None:
    [listing] = [tool for tool in TOOLS if tool.name == "list_image_jobs"]
    assert listing.input_schema["properties"]["state"]["enum"] == list(JobState)


def test_null_is_as_if_it_were_left_out() -> None:
    assert read({"job_id": "x", "wait_seconds": None, "prompt": None}, LookArguments).wait_seconds is None
    assert job_fields({"prompt": "x", "count": None}) == ({"prompt": "x"}, None)


def test_arguments_are_read_as_models_write_them() -> None:
    given = {
        "prompt": "x",
        "count": "2",
        "reference_images": '["img_a"]',
        "aspect_ratio": "",
        "idempotency_key": "null",
    }
    assert job_fields(given) == ({"prompt": "x", "count": 2, "reference_images": ["img_a"]}, None)
    assert job_fields({"arguments": '{"prompt": "x"}'}) == ({"prompt": "x"}, None)
    look = read({"job_id": "x", "wait_seconds": "20", "prompt": "", "model": "None"}, LookArguments)
    assert (look.wait_seconds, look.prompt, look.model) == (20, None, None)
    listed = read({"limit": "10.0", "state": "null", "cursor": ""}, ListArguments)
    assert (listed.limit, listed.state, listed.cursor) == (10, None, None)


def test_a_key_is_no_field_of_the_job() -> None:
    assert job_fields({"prompt": "x", "idempotency_key": "k"}) == ({"prompt": "x"}, "k")


def test_every_problem_is_told_in_words_and_nothing_repeated() -> None:
    assert problems({"wait_seconds": 21, "jobid": "canary"}) == [
        "job_id has the wrong type: it must be given.",
        "wait_seconds has the wrong type: input should be less than or equal to 20.",
        "There is no field jobid (did you mean job_id?).",
    ]
    assert problems({"limit": True, "cursor": [1]}, ListArguments) == [
        "limit has the wrong type: it must be a whole number.",
        "cursor has the wrong type: it must be text.",
    ]
    assert problems({"job_id": "x", "canary canary": 1}) == ["There is no such field."]
