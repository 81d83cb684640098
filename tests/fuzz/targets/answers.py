"""Answers of both providers, in all their shapes and in none: read, or refused in our own words."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from simulator.pictures.corpus import specimen
from simulator.providers import aihubmix, openrouter
from simulator.providers.order import Order, base64_text

from contract.untrusted.imaging.inspect import inspect
from tests.fuzz.inputs.json_edits import ANY_JSON, BYTE_EDITS, JSON_EDITS, ByteEdit, JsonEdit, edited
from tests.fuzz.wellformed import assert_error
from worker.answers.errors import ProviderError, revive
from worker.providers.registry import PROVIDERS
from worker.sandbox.child import load_json, reply

_LINK = "https://cdn.example/a.png"
_SPECIMENS = ("png_interlaced", "gif_1_frame", "webp_1_frame", "webp_exif_rotated", "tiny_32", "bad_crc_png", "svg")
_ORDER = Order(id="1", model="sim/model", prompt="a red fox", width=64, height=64, image_size="1K")


def _good() -> Iterator[object]:
    texts = [base64_text(specimen(name)) for name in _SPECIMENS]
    for text in texts:
        yield openrouter.answer_links(_ORDER, ["data:image/png;base64," + text], "")
    yield openrouter.answer_links(_ORDER, [_LINK, _LINK], "")
    yield openrouter.text_only(_ORDER, "I cannot do that.")
    for dress in aihubmix.PICTURE_VARIANTS.values():
        yield dress(texts[:3])
    yield from (dress([_LINK]) for dress in aihubmix.LINK_VARIANTS.values())
    yield aihubmix.answer_later("/poll/1", "1")
    yield from (aihubmix.poll_report(status) for status in ("processing", "failed", "succeeded", "Request Moderated"))
    yield aihubmix.poll_report("succeeded", [specimen("gif_1_frame")])
    for dialect in (openrouter, aihubmix):
        yield from (make(_ORDER) for make in (*dialect.FAILURES.values(), *dialect.SHAPES.values()))
    for place in openrouter.PLACES.values():
        yield place(_ORDER, ["data:image/png;base64," + texts[0], "data:image/gif;base64," + texts[1]])
    for show in aihubmix.WORD_VARIANTS.values():
        yield show([_LINK, "data:image/png;base64," + texts[0]])


GOOD = tuple(_good())
# Half of all cases begin with a picture.
_BASES = st.sampled_from(GOOD[: len(_SPECIMENS) + 12]) | st.sampled_from(GOOD)
_NAMES = st.sampled_from(tuple(PROVIDERS))


@dataclass(frozen=True, slots=True)
class Answered:
    """A provider's answer as a JSON value."""

    provider: str
    body: Any


@dataclass(frozen=True, slots=True)
class Sent:
    """A provider's answer as bytes."""

    provider: str
    body: bytes


def _sent(provider: str, value: Any, edits: list[JsonEdit], byte_edits: list[ByteEdit]) -> Sent:
    body = json.dumps(edited(value, edits), ensure_ascii=len(edits) % 2 == 0).encode(errors="surrogatepass")
    for edit in byte_edits:
        body = edit.apply(body)
    return Sent(provider, body)


ANY_ANSWER = st.builds(Answered, _NAMES, ANY_JSON)
EDITED_ANSWER = st.builds(lambda name, value, edits: Answered(name, edited(value, edits)), _NAMES, _BASES, JSON_EDITS)
ANY_BYTES = st.binary(max_size=200) | st.text(max_size=40).map(str.encode)
SENT = st.builds(_sent, _NAMES, _BASES, JSON_EDITS.map(lambda edits: edits[:1]), BYTE_EDITS)


def any_bytes_are_json_or_refused(body: bytes) -> None:
    """Check the loader."""
    try:
        value = load_json(body)
    except ProviderError as error:
        assert_error(error, "provider_interrupted", "provider_bad_answer")
    else:
        json.dumps(value, allow_nan=False).encode()


def _assert_read(answered: Answered) -> None:
    try:
        answer = PROVIDERS[answered.provider].parse_response(answered.body)
    except ProviderError as error:
        assert_error(error)
        return
    assert all(isinstance(picture, str) and picture.strip() for picture in answer.pictures)
    assert answer.cost_usd is None or (math.isfinite(answer.cost_usd) and answer.cost_usd >= 0)
    assert answer.poll_url is None or (isinstance(answer.poll_url, str) and answer.poll_url)


def any_json_is_an_answer_or_an_error(answered: Answered) -> None:
    """Check both providers with whatever JSON there is."""
    _assert_read(answered)


def an_edited_answer_is_an_answer_or_an_error(answered: Answered) -> None:
    """Check both providers with what was a good answer once, of either of them."""
    _assert_read(answered)


def any_body_gets_a_reply(sent: Sent) -> None:
    """Check the reader as a whole: its reply can be sent, and is an error, a picture, or where to find one."""
    told = io.StringIO()
    with contextlib.redirect_stderr(told):
        head, data = reply(sent.provider, bytearray(sent.body))
    assert told.getvalue() == "", "an exception that nobody foresaw"
    head = json.loads(json.dumps(head, allow_nan=False).encode())
    if "error" in head:
        assert set(head) == {"error"}
        assert not data
        assert_error(revive(head["error"]))
    elif "mime" in head:
        _assert_picture(head, data)
    else:
        assert not data
        assert set(head) <= {"cost_usd", "poll_url", "is_done", "extras", "link", "links"}
        assert all(head[name] is None or isinstance(head[name], str) for name in ("poll_url", "link") if name in head)


def _assert_picture(head: dict[str, Any], data: bytes) -> None:
    info = inspect(data)
    described = (info.mime, *info.upright, info.is_blank)
    assert described == (head["mime"], head["width"], head["height"], head["is_blank"])
    assert hashlib.sha256(data).hexdigest() == head["sha256"]
    assert min(info.width, info.height) >= 64
