"""Arguments of tools as chat models send them, and what they mean."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.mcp.tools import GENERATE_SCHEMA
from producer.validation.tool_arguments import understand

A, B = "img_0123456789ab", "img_ba9876543210"
SCHEMA = {
    "properties": {
        "prompt": {"type": "string"},
        "count": {"type": "integer"},
        "seconds": {"type": "number"},
        "names": {"type": "array", "items": {"type": "string"}},
        "size": {"type": "string"},
        "fallback": {"type": "string", "enum": ["any", "none"]},
    },
    "required": ["prompt"],
}
ABSENT = [None, "", "  ", "null", "NULL", "none", "None", "undefined"]
# A field, how it is written, and what is meant.
MEANT: list[tuple[str, Any, Any]] = [
    *[("count", written, 2) for written in (2, 2.0, "2", "2.0", "2.", " 2 ", "+2")],
    *[("count", same, same) for same in (True, 2.5, "2.5x", "two", "2e1", "１", "nan", [2], {"a": 1}, -1, 0)],
    *[("count", "2.5", 2.5), ("count", "0", 0), ("count", "-1", -1)],
    *[("seconds", "20", 20), ("seconds", "0.5", 0.5), ("seconds", 20, 20), ("seconds", "inf", "inf")],
    *[("size", "1K", "1K"), ("size", 1024, "1024"), ("size", True, True), ("size", ["1K"], ["1K"])],
    *[("fallback", "none", "none"), ("fallback", "any", "any")],
    *[("names", [A, B], [A, B]), ("names", [], []), ("names", "[]", []), ("names", [""], []), ("names", '""', [])],
    *[("names", A, [A]), ("names", "latest", ["latest"]), ("names", f" {A} ", [A]), ("names", f'"{A}"', [A])],
    *[("names", f'["{A}"]', [A]), ("names", f"['{A}', '{B}']", [A, B]), ("names", f' [ "{A}",\n"{B}" ] ', [A, B])],
    *[("names", json.dumps(json.dumps([A, B])), [A, B]), ("names", [f'["{A}"]', B], [A, B])],
    *[("names", f"{A}, {B}", [A, B]), ("names", f"{A} {B}", [A, B]), ("names", f"{A},latest", [A, "latest"])],
    *[("names", [A, None, "", "null", "None"], [A]), ("names", "[null]", [])],
    *[
        ("names", path, [path])
        for path in ("/a b, c.png", "[draft].png", "['it.png", "{}.png", "~/it's.png", "a,b.png")
    ],
    *[("names", 7, 7), ("names", {"a": 1}, {"a": 1}), ("names", [[A]], [[A]]), ("names", [7], [7])],
]


@pytest.mark.parametrize(("field", "written", "meant"), MEANT)
def test_what_is_meant(field: str, written: Any, meant: Any) -> None:
    understood = understand({"prompt": "x", field: written}, SCHEMA)[field]
    assert (understood, type(understood)) == (meant, type(meant))


@pytest.mark.parametrize("written", ABSENT)
@pytest.mark.parametrize("field", ["count", "seconds", "names", "size", "what"])
def test_what_is_absent(field: str, written: Any) -> None:
    assert understand({"prompt": "x", field: written}, SCHEMA) == {"prompt": "x"}


@pytest.mark.parametrize("text", ["", "none", "null", '["a"]', "2", "[1]"])
def test_a_prompt_stays_as_it_is(text: str) -> None:
    assert understand({"prompt": text}, SCHEMA) == {"prompt": text}


def test_a_prompt_that_is_null_is_missing() -> None:
    assert understand({"prompt": None}, SCHEMA) == {}


@pytest.mark.parametrize("inside", [{"prompt": "x", "count": "2"}, '{"prompt": "x", "count": "2"}'])
def test_arguments_within_arguments(inside: Any) -> None:
    assert understand({"arguments": inside}, SCHEMA) == {"prompt": "x", "count": 2}


@pytest.mark.parametrize("inside", ["x", "[]", 7, "{"])
def test_what_is_no_arguments_stays(inside: Any) -> None:
    assert understand({"arguments": inside}, SCHEMA) == {"arguments": inside}


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "['" * 50_000, "['a' " * 20_000, '"' * 100_000, "img_a " * 20_000 + "-"]
)
def test_text_that_is_no_list_costs_nothing(text: str) -> None:
    assert understand({"prompt": "x", "names": text}, SCHEMA)["names"] == [text]


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(), inside, max_size=3),
    max_leaves=6,
)


KINDS = {"string": str, "integer": int, "array": list}


@given(st.dictionaries(st.sampled_from([*GENERATE_SCHEMA["properties"], "what"]), _json))
def test_whatever_comes_is_read_as_its_type_or_left(arguments: dict[str, Any]) -> None:
    understood = understand(arguments, GENERATE_SCHEMA)
    assert understood.keys() <= arguments.keys()
    for name, value in understood.items():
        field = GENERATE_SCHEMA["properties"].get(name, {})
        assert value is not None
        assert isinstance(value, KINDS.get(field.get("type"), object)) or value == arguments[name]
