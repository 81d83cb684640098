"""JSON that means one thing only, and bodies that end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request
from starlette.types import Message

from contract.errors.exceptions import Refused
from producer.api import requests
from producer.api.requests import open_body, parse_json, read_body, read_json
from producer.api.services.body_budget import MOST_EACH, BodyBudget

REFUSED = {
    "malformed": (b'{"prompt": ', "json_invalid"),
    "trailing bytes": (b"{} {}", "json_invalid"),
    "nothing": (b"", "json_invalid"),
    "byte order mark": (b'\xef\xbb\xbf{"a": 1}', "json_invalid"),
    "comment": (b'{"a": 1 /* one */}', "json_invalid"),
    "single quotes": (b"{'a': 1}", "json_invalid"),
    "NaN": (b'{"a": NaN}', "json_invalid"),
    "minus infinity": (b'{"a": -Infinity}', "json_invalid"),
    "1e400": (b'{"a": 1e400}', "json_invalid"),
    "10,000 digits": (b'{"a": ' + b"9" * 10_000 + b"}", "json_invalid"),
    "depth 100,000": (b"[" * 100_000 + b"]" * 100_000, "json_invalid"),
    "half a character": (b'{"a": "\\ud800"}', "json_invalid"),
    "broken UTF-8": (b'{"a": "\xff"}', "json_invalid"),
    "overlong UTF-8": (b'{"a": "\xc0\xaf"}', "json_invalid"),
    "60,000 lists": (b"[" + b"[]," * 60_000 + b"0]", "json_invalid"),
    "a key twice": (b'{"a": 1, "a": 1}', "json_duplicate_key"),
    "a key twice, once escaped": (b'{"a": 1, "\\u0061": 2}', "json_duplicate_key"),
    "a key twice, deep inside": (b'{"x": [{"a": 1, "a": 1}]}', "json_duplicate_key"),
}


@pytest.mark.parametrize(("text", "code"), REFUSED.values(), ids=REFUSED)
def test_what_can_be_read_in_two_ways_is_refused(text: bytes, code: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_json(text)
    assert caught.value.code == code


def test_whole_characters_outside_the_basic_plane_pass() -> None:
    assert parse_json(b'{"a": "\\ud83e\\udd8a", "b": [1, 2.5, null]}') == {"a": "🦊", "b": [1, 2.5, None]}


def request(*chunks: bytes, pause_s: float = 0, first_at_once: bool = False, **headers: str) -> Request:
    """Make a request whose body comes in these pieces."""

    async def messages() -> AsyncIterator[Message]:
        for place, chunk in enumerate(chunks):
            await asyncio.sleep(0 if first_at_once and not place else pause_s)
            yield {"type": "http.request", "body": chunk, "more_body": place < len(chunks) - 1}

    coming = messages()
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": named}
    made = Request(scope, lambda: anext(coming))
    made.state.bodies = BodyBudget().of("ann")
    return made


async def test_a_body_is_read_to_its_last_piece() -> None:
    assert await read_body(request(b"ab", b"", b"cd"), most=4) == b"abcd"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (request(b"abc", b"de"), "body_too_large"),
        (request(b"", content_length="5"), "body_too_large"),
        (request(b"", content_length="1e3"), "body_too_large"),
        (request(b"", content_encoding="gzip"), "unsupported_encoding"),
    ],
)
async def test_a_body_that_is_too_large_or_packed_is_refused(given: Request, code: str) -> None:
    with pytest.raises(Refused) as caught:
        await read_body(given, most=4)
    assert caught.value.code == code


async def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "BODY_S", 0.05)
    with pytest.raises(Refused) as caught:
        await read_body(request(b"a", b"b", pause_s=5), most=4)
    assert caught.value.code == "request_timeout"


async def test_a_body_may_be_slow_as_long_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "BODY_S", 0.1)
    monkeypatch.setattr(requests, "LEAST_BYTES_PER_S", 10)
    assert await read_body(request(b"a", b"b", b"c", b"d", pause_s=0.05), most=4) == b"abcd"


async def test_a_body_that_stalls_is_not_waited_for_however_fast_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "BODY_S", 0.1)
    monkeypatch.setattr(requests, "LEAST_BYTES_PER_S", 1)
    with pytest.raises(Refused) as caught:
        await read_body(request(b"a" * 100, b"b", pause_s=5, first_at_once=True), most=200)
    assert caught.value.code == "request_timeout"


async def test_a_body_counts_until_it_is_let_go() -> None:
    budget = BodyBudget()
    given = request(b"a", content_length=str(MOST_EACH))
    given.state.bodies = budget.of("ann")
    async with open_body(given, most=MOST_EACH) as chunks:
        assert [chunk async for chunk in chunks] == [b"a", b""]
        with pytest.raises(Refused), budget.of("ann").arrive() as count:
            count(1)
    with budget.of("ann").arrive() as count:
        count(1)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_what_does_not_call_itself_json_is_not_read(kind: str) -> None:
    with pytest.raises(Refused) as caught:
        await read_json(request(b"{}", content_type=kind))
    assert caught.value.code == "unsupported_media_type"


async def test_a_large_object_is_read_like_a_small_one() -> None:
    text = b'{"a": "' + requests.LARGE * b"x" + b'"}'
    assert await read_json(request(text, content_type="application/json")) == {"a": "x" * requests.LARGE}


@pytest.mark.parametrize("text", [b"[]", b'"a"', b"1", b"null"])
async def test_json_that_is_no_object_has_the_wrong_type(text: bytes) -> None:
    with pytest.raises(Refused) as caught:
        await read_json(request(text, content_type="application/json; charset=utf-8"))
    assert caught.value.code == "type_error"
