"""Bodies of a 200 that are no JSON, or JSON that a careless parser chokes on (rows P49 to P51).

Each function takes the good answer as JSON text and returns a content type and a body.
"""

import json
from collections.abc import Callable
from functools import cache

JSON_TYPE = "application/json"
PAGE = b"<!doctype html><html><head><title>502</title></head><body><h1>Bad gateway</h1>nginx</body></html>"
DIGITS = 10_000
DEPTH = 100_000
BOMB_MEMBERS = 5_000_000
PIECE = 50  # characters of a chunk

Body = Callable[[bytes], tuple[str, bytes]]


def given(data: bytes, content_type: str = JSON_TYPE) -> Body:
    """Return a body that does not depend on the good answer."""
    return lambda good: (content_type, data)


def labelled(content_type: str) -> Body:
    """Return the good answer under another content type."""
    return lambda good: (content_type, good)


def with_member(member: bytes) -> Body:
    """Return the good answer with one more member in front."""
    return lambda good: (JSON_TYPE, b"{" + member + b"," + good[1:])


def with_tail(tail: bytes) -> Body:
    """Return the good answer with something behind it."""
    return lambda good: (JSON_TYPE, good + tail)


def cut(share: float) -> Body:
    """Return the first part of the good answer."""
    return lambda good: (JSON_TYPE, good[: int(len(good) * share)])


def duplicate_keys(good: bytes) -> tuple[str, bytes]:
    """Return every top-level member twice, first as null and then as it should be."""
    members = json.loads(good)
    nulls = b"".join(b"%b:null," % json.dumps(name).encode() for name in members)
    return JSON_TYPE, b"{" + nulls + good[1:]


@cache
def bomb() -> bytes:
    """Return 15 MB of JSON that become a gigabyte of objects."""
    many = b"[" + b"{}," * BOMB_MEMBERS + b"{}]"
    return b'{"choices":' + many + b"}"


def deep(opening: bytes, closing: bytes) -> bytes:
    """Return a member that is nested 100,000 levels deep."""
    return b'"deep":' + opening * DEPTH + b"1" + closing * DEPTH


def event_stream(good: bytes) -> tuple[str, bytes]:
    """Return the good answer as server-sent events, comments and all."""
    comment = b": OPENROUTER PROCESSING\n\n"
    return "text/event-stream", comment * 3 + b"data: " + good + b"\n\ndata: [DONE]\n\n"


def event_stream_in_pieces(good: bytes) -> tuple[str, bytes]:
    """Return a good chat completion as chunks, its words in short pieces and its pictures whole."""
    answer = json.loads(good)
    message = answer.get("choices", [{}])[0].get("message")
    if message is None:
        return event_stream(good)
    words = message.pop("content") or ""
    deltas = [
        {"role": "assistant", "content": ""},
        *({"content": words[at : at + PIECE]} for at in range(0, len(words), PIECE)),
    ]
    deltas += [{name: value} for name, value in message.items() if name != "role"]
    chunks: list[object] = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    chunks.append({"choices": [], "usage": answer["usage"]})
    events = b"".join(b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in chunks)
    return "text/event-stream", events + b"data: [DONE]\n\n"


BODIES: dict[str, Body] = {
    # P49
    "html": given(PAGE, "text/html"),
    "empty": given(b""),
    "text_plain": labelled("text/plain"),
    "octet_stream": labelled("application/octet-stream"),
    "html_label": labelled("text/html; charset=utf-8"),
    "no_type": labelled(""),
    "html_as_json": given(PAGE),
    "whitespace": given(b"\n" * 2000),
    "null": given(b"null"),
    "array": given(b"[]"),
    "array_of_good": lambda good: (JSON_TYPE, b"[" + good + b"]"),
    "string": given(b'"https://example.com/a.png"'),
    "number": given(b"42"),
    "true": given(b"true"),
    "empty_object": given(b"{}"),
    "picture": given(b"\x89PNG\r\n\x1a\n" + bytes(64), "image/png"),
    "byte_order_mark": lambda good: (JSON_TYPE, b"\xef\xbb\xbf" + good),
    "utf_16": lambda good: (JSON_TYPE + "; charset=utf-16", good.decode().encode("utf-16")),
    # P50
    "half": cut(0.5),
    "no_last_brace": lambda good: (JSON_TYPE, good[:-1]),
    "one_byte": lambda good: (JSON_TYPE, good[:1]),
    "two_documents": lambda good: (JSON_TYPE, good + good),
    "tail": with_tail(b"\n<!-- served by node 7 -->"),
    # P51
    "duplicate_keys": duplicate_keys,
    "nan": with_member(b'"created":NaN'),
    "infinity": with_member(b'"created":-Infinity'),
    "huge_float": with_member(b'"created":1e99999'),
    "long_int": with_member(b'"created":' + b"9" * DIGITS),
    "deep_arrays": with_member(deep(b"[", b"]")),
    "deep_objects": with_member(deep(b'{"a":', b"}")),
    "deep_open": given(b"[" * DEPTH),
    "lone_surrogate": with_member(b'"note":"\\ud800","model":"\\udfff"'),
    "nul_in_text": with_member(b'"note":"a\\u0000b"'),
    "raw_control": with_member(b'"note":"a\nb\x01"'),
    "bad_utf_8": with_member(b'"note":"\xff\xfe\xc0\xaf"'),
    "single_quotes": given(b"{'choices': []}"),
    "bomb": lambda good: (JSON_TYPE, bomb()),
    # P55
    "event_stream": event_stream,
    "event_stream_in_pieces": event_stream_in_pieces,
    "event_stream_as_json": lambda good: (JSON_TYPE, event_stream(good)[1]),
    "comments": lambda good: (JSON_TYPE, b": OPENROUTER PROCESSING\n\n" * 20 + good),
    "blank_lines": lambda good: (JSON_TYPE, b"\n" * 600 + good),
}
