"""Of a stream that nobody asked for, the chunks of a chat completion are put together."""

from __future__ import annotations

import json

import pytest

from worker.answers.event_stream import MOST_EVENTS, completion_in
from worker.answers.untrusted_json import Json
from worker.providers.openrouter import OPENROUTER
from worker.sandbox.child import load_json

LINK = "https://cdn.example/a.png"


def stream(*events: Json, end: str = "data: [DONE]") -> list[bytes]:
    return "\n\n".join([*(f"data: {json.dumps(event)}" for event in events), end]).encode().split(b"\n")


def chunk(index: int = 0, *, reason: str | None = None, **delta: Json) -> Json:
    return {"choices": [{"index": index, "delta": delta, "finish_reason": reason}]}


def words(text: str) -> list[Json]:
    return [chunk(role="assistant", content=""), *(chunk(content=char) for char in text), chunk(reason="stop")]


def test_words_are_joined_with_what_the_call_cost() -> None:
    events = [*words(f"Here: ![fox]({LINK})"), {"choices": [], "usage": {"cost": 0.04}}]
    answer = OPENROUTER.parse_response(load_json(b"\n".join(stream(*events))))
    assert (answer.pictures, answer.cost_usd) == ((LINK,), 0.04)


def test_a_link_that_is_shorter_than_what_is_said_is_found() -> None:
    image: Json = {"type": "image_url", "image_url": {"url": LINK}}
    events = [chunk(content="A very long story. " * 20), chunk(images=[image]), chunk(reason="stop")]
    assert OPENROUTER.parse_response(load_json(b"\n".join(stream(*events)))).pictures == (LINK,)


def test_the_last_image_goes_before_earlier_ones() -> None:
    images = [chunk(images=[{"image_url": {"url": name}}]) for name in ("first", "second")]
    assert OPENROUTER.parse_response(completion_in(stream(*images))).pictures == ("second", "first")


def test_choices_are_told_apart() -> None:
    events = [chunk(0, content="a"), chunk(1, content="b"), chunk(0, content="c"), chunk(1, reason="stop")]
    assert completion_in(stream(*events)) == {
        "choices": [{"message": {"content": "ac"}}, {"finish_reason": "stop", "message": {"content": "b"}}]
    }


def test_an_error_in_a_chunk_is_one_of_the_answer() -> None:
    failed = completion_in(stream(chunk(content="a"), {"error": {"code": 502}, **mapping(chunk(reason="error"))}))
    assert failed
    assert failed["error"] == {"code": 502}


def mapping(value: Json) -> dict[str, Json]:
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize(
    "lines",
    [
        stream({"choices": [{"message": {"content": "whole"}}]}),
        stream({"type": "image_generation.completed", "b64_json": "iVBO"}),
        stream({"choices": [{"finish_reason": "stop"}]}),
        stream(chunk(content="a"), end='data: {"choices": [{"del'),
        stream(chunk(content="a"), end="data: {7}"),
        [b"data: {}"] * (MOST_EVENTS + 1),
        [],
    ],
    ids=["whole", "another API", "no delta", "cut", "garbled", "too many", "none"],
)
def test_other_streams_are_no_completion_in_pieces(lines: list[bytes]) -> None:
    assert completion_in(lines) is None


@pytest.mark.parametrize(
    "value", [None, 7, "x", [], {"choices": 7}, {"choices": [7]}, {"choices": [{"delta": 7}]}], ids=str
)
def test_what_makes_no_sense_is_passed_over(value: Json) -> None:
    assert completion_in(stream(value, chunk(content="a"))) == {"choices": [{"message": {"content": "a"}}]}


def test_pieces_of_several_types_are_not_joined() -> None:
    events = [chunk(content="a"), chunk(content=[{"type": "text"}]), chunk(content=None)]
    joined = completion_in(stream(*events))
    assert joined
    assert joined["choices"][0]["message"]["content"] == [{"type": "text"}]
