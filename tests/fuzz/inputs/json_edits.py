"""Edits of JSON: something of another type, moved, renamed, doubled or gone, at any place; and of its bytes."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from functools import reduce
from typing import Any

from hypothesis import strategies as st

Place = tuple[Any, Any]  # a list or an object, and an index or a key

_NUMBERS = st.sampled_from(
    (0, -1, 1, 3, 200, 404, 429, 502, 10**18, 2**63, -(2**63), 0.0, -0.0, 0.04, 1e308, 5e-324, 1e9)
)
_WORDS = (
    *(
        "",
        " ",
        "error",
        "failed",
        "Moderated",
        "succeeded",
        "processing",
        "content_filter",
        "image_safety",
        "429",
        "none",
    ),
    *("data:,", "data:image/png;base64,AAAA", "https://cdn.example/a.png", "ftp://x", "://", "AAAA", "A" * 2000),
    *("model_not_found", "refusal", "openrouter_credits", "٤٢٩", "\u202e", "\x1b[31m", "<b>", "{provider}", "/poll/1"),
)
NAMES = (
    *("error", "code", "message", "metadata", "error_type", "reasons", "availability", "retry_after", "retryable"),
    *("type", "http_status", "limit_source", "choices", "images", "image_url", "imageUrl", "url", "content", "usage"),
    *("cost", "finish_reason", "native_finish_reason", "output", "b64_json", "bytesBase64", "data", "urls", "sample"),
    *("image", "result", "status", "polling_url", "", "\x00"),
)
SCALARS = st.none() | st.booleans() | _NUMBERS | st.sampled_from(_WORDS) | st.text(max_size=6)
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


@dataclass(frozen=True, slots=True)
class JsonEdit:
    """One edit of a JSON value; `at` chooses the place among all there are."""

    kind: str
    at: int
    value: Any
    key: str

    def apply(self, root: list[Any]) -> None:
        """Change the only item of a list, or something inside it."""
        places = _places(root)
        parent, name = places[self.at % len(places)]
        is_inside = parent is not root
        match self.kind, parent:
            case "remove", _ if is_inside:
                del parent[name]
            case "double", list() if is_inside:
                parent.insert(name, copy.deepcopy(parent[name]))
            case "rename", dict():
                parent[self.key] = parent.pop(name)
            case _:
                parent[name] = self._instead(parent[name], is_small=len(places) < 200)

    def _instead(self, old: Any, *, is_small: bool) -> Any:
        match self.kind, old:
            case "add", dict():
                return {**old, self.key: self.value}
            case "wrap", _:
                return self._wrapped(old)
            case "bury", _:
                return reduce(lambda inner, _: self._wrapped(inner), range(300), old)
            case "many", _ if is_small:
                return [copy.deepcopy(old) for _ in range(50)]
            case "flood", str():
                return (old or "x")[:50] * 2000
            case _:
                return self.value

    def _wrapped(self, old: Any) -> Any:
        return [old] if self.at % 2 else {self.key: old}


def _places(root: Any) -> list[Place]:
    found: list[Place] = []
    waiting = [root]
    while waiting:
        parent = waiting.pop()
        names = parent if isinstance(parent, dict) else range(len(parent))
        found += [(parent, name) for name in names]
        waiting += [parent[name] for name in names if isinstance(parent[name], dict | list)]
    return found


_KINDS = ("replace", "remove", "double", "rename", "add", "wrap", "bury", "many", "flood")
JSON_EDITS = st.lists(
    st.builds(JsonEdit, st.sampled_from(_KINDS), st.integers(0, 200), ANY_JSON, st.sampled_from(NAMES)), max_size=4
)


def edited(value: Any, edits: list[JsonEdit]) -> Any:
    """Change a copy of a JSON value."""
    root = [copy.deepcopy(value)]
    for edit in edits:
        edit.apply(root)
    return root[0]


_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")
_ODD_BYTES = (
    *(b"1e400", b"-1e400", b"1E+2", b"-0", b"0x10", b"01", b"9" * 5000, b"NaN", b"-Infinity", b"1.", b".5", b"null"),
    *(
        b"[" * 3000,
        b'{"a":' * 3000,
        b"]",
        b"}",
        b'"',
        b"\\",
        b"\\ud800",
        b"\\u0000",
        b"\xff",
        b"\xc3\x28",
        b"\xed\xa0\x80",
    ),
    *(b"\xef\xbb\xbf", b": OPENROUTER PROCESSING\n\n", b"data: ", b"\r\n", b"\x00", b",", b"//", b"'", b"<html>"),
    *(b'"error":{"code":429},', b'"error":null,', b'"output":[],', b'"choices":[],', b'"status":"failed",'),
)


@dataclass(frozen=True, slots=True)
class ByteEdit:
    """One edit of bytes; `at` and `size` choose the place, modulo what there is."""

    kind: str
    at: int
    size: int
    data: bytes

    def apply(self, body: bytes) -> bytes:
        """Change a copy of the bytes."""
        at = self.at % (len(body) + 1)
        if self.kind == "number" and (numbers := list(_NUMBER.finditer(body))):
            begin, end = numbers[self.at % len(numbers)].span()
            return body[:begin] + self.data + body[end:]
        match self.kind:
            case "cut":
                return body[:at] + body[at + self.size :]
            case "end":
                return body[:at]
            case "double":
                return body[: at + self.size] + body[at:]
            case "flip" if at < len(body):
                return body[:at] + bytes([body[at] ^ 1 << self.size % 8]) + body[at + 1 :]
            case "first":
                return self.data + body
            case "key" if at == len(body) or b"{" in body:
                begin = body.find(b"{", at) + 1 or body.find(b"{") + 1
                return body[:begin] + self.data + body[begin:]
            case _:
                return body[:at] + self.data + body[at:]


_BYTE_KINDS = ("insert", "cut", "end", "double", "flip", "first", "key", "number")
BYTE_EDITS = st.lists(
    st.builds(
        ByteEdit,
        st.sampled_from(_BYTE_KINDS),
        st.integers(0, 60_000),
        st.integers(1, 200),
        st.sampled_from(_ODD_BYTES) | st.binary(max_size=6),
    ),
    max_size=4,
)
