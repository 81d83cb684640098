"""An answer in a stream of events that nobody asked for: chunks of a chat completion put together, or one event."""

from __future__ import annotations

import re
from collections.abc import Iterable

import orjson

from worker.answers.untrusted_json import Json, items, mapping

MOST_EVENTS = 20_000
_PARTIAL = re.compile(rb'"partial_image_index"|"[^"]{0,80}\.partial_image"')
_LAST = ("finish_reason", "native_finish_reason", "error")  # of a choice


def is_event_stream(body: bytes | bytearray) -> bool:
    """Tell a stream of events from JSON."""
    return body.startswith((b"data:", b"event:"))


def completion_in(lines: list[bytes]) -> dict[str, Json] | None:
    """Put the chunks of a chat completion together; None where the events are none, or one of them is cut."""
    whole: dict[str, Json] = {}
    choices: dict[int, dict[str, Json]] = {}
    pieces: dict[int, dict[str, list[Json]]] = {}
    for event in _events(lines):
        if event is None or any("message" in mapping(choice) for choice in items(event.get("choices"))):
            return None
        whole |= {name: event[name] for name in ("error", "usage") if event.get(name) is not None}
        for choice in map(mapping, items(event.get("choices"))):
            index = choice["index"] if isinstance(choice.get("index"), int) else 0
            choices.setdefault(index, {}).update({name: choice[name] for name in _LAST if choice.get(name) is not None})
            for name, value in mapping(choice.get("delta")).items():
                pieces.setdefault(index, {}).setdefault(name, []).append(value)
    for index, named in pieces.items():
        choices[index]["message"] = {name: _joined(values) for name, values in named.items()}
    return {**whole, "choices": list(choices.values())} if pieces else None


def longest_event(lines: list[bytes]) -> bytes:
    """Choose an event by its length, as pictures are long; one with an interim picture where there is no other."""
    last = [line for line in lines if line[5:].lstrip().startswith(b"{") and not _PARTIAL.search(line)]
    return max(last or lines, key=len).removeprefix(b"data:")


def _events(lines: list[bytes]) -> Iterable[dict[str, Json] | None]:
    """Read each event that is an object; None stands for one that cannot be read, or for too many."""
    texts = [line[5:].strip() for line in lines if line.startswith(b"data:")]
    if len(texts) > MOST_EVENTS:
        yield None
    for text in texts[:MOST_EVENTS]:
        if not text.startswith(b"{"):  # [DONE]
            continue
        try:
            yield mapping(orjson.loads(text))
        except orjson.JSONDecodeError:
            yield None


def _joined(values: list[Json]) -> Json:
    """Join the pieces of a text, or those of a list: its last images first, as earlier ones may be interim."""
    values = [value for value in values if value is not None]
    if all(isinstance(value, str) for value in values):
        return "".join(values)
    if all(isinstance(value, list) for value in values):
        return [item for value in reversed(values) for item in value]
    return values[-1]
