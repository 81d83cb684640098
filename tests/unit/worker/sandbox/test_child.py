"""What the child does with bytes that nobody vouches for; here without a child."""

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulator.pictures import corpus_good, png

from contract.untrusted.imaging.limits import MIN_SIDE
from tests.support.factories.images import picture
from worker.answers.errors import Interrupted, ProviderError, revive
from worker.sandbox.child import (
    MAX_LINK,
    MAX_PARTS,
    decode_picture,
    is_link,
    load_json,
    read_answer,
    read_picture,
    reply,
)

PICTURE = picture()
B64 = base64.b64encode(PICTURE).decode()
LINK = "https://cdn.example/fox.png"


def chat(*urls: str, cost: float | None = 0.04) -> bytearray:
    """Answer as OpenRouter does."""
    images = [{"image_url": {"url": url}} for url in urls]
    return bytearray(json.dumps({"choices": [{"message": {"images": images}}], "usage": {"cost": cost}}).encode())


def polling(url: str) -> bytearray:
    """Answer as AIHubMix does when a picture takes its time."""
    return bytearray(json.dumps({"output": [{"polling_url": url}]}).encode())


def failure(provider: str, body: bytes) -> ProviderError:
    """Read what must fail, and make the error again that is told."""
    found, data = reply(provider, bytearray(body))
    assert data == b""
    return revive(json.loads(json.dumps(found["error"])))


def test_a_picture_is_described_and_comes_back_as_it_was() -> None:
    found, data = reply("", bytearray(PICTURE))
    assert data == PICTURE
    assert found == {
        **{"mime": "image/png", "width": 64, "height": 64, "is_blank": False},
        "sha256": hashlib.sha256(PICTURE).hexdigest(),
    }


def test_an_answer_is_read_down_to_its_picture_and_then_emptied() -> None:
    body = chat(f"data:image/png;base64,{B64}")
    found, data = reply("openrouter", body)
    assert (data, len(body)) == (PICTURE, 0)
    assert (found["mime"], found["cost_usd"], found["extras"]) == ("image/png", 0.04, 0)


@pytest.mark.parametrize("second", [B64, LINK, "no picture at all"])
def test_p68_of_several_pictures_the_first_is_taken_and_the_others_are_counted(second: str) -> None:
    found, data = reply("openrouter", chat(B64, second, second))
    assert (data, found["extras"]) == (PICTURE, 2)


def test_p71_a_link_is_handed_back_with_the_cost_and_without_a_picture() -> None:
    found, data = reply("openrouter", chat(f" {LINK}\n"))
    assert data == b""
    assert found == {"link": LINK, "cost_usd": 0.04, "extras": 0}


def test_p79_where_to_ask_again_is_handed_back() -> None:
    found, _ = reply("aihubmix", polling("tasks/7"))
    assert found == {"poll_url": "tasks/7", "cost_usd": None}
    found, _ = reply("aihubmix", bytearray(b'{"status": "processing"}'))
    assert found == {"cost_usd": None}


@pytest.mark.parametrize(
    ("provider", "answering", "name"), [("openrouter", chat, "link"), ("aihubmix", polling, "poll_url")]
)
def test_p71_p79_a_link_may_have_a_length_and_no_more(
    provider: str, answering: Callable[[str], bytearray], name: str
) -> None:
    longest = LINK.ljust(MAX_LINK, "x")
    assert reply(provider, answering(longest))[0][name] == longest
    error = failure(provider, bytes(answering(longest + "x")))
    assert (error.outcome, error.code) == ("unusable", "unsafe_url")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "provider_bad_answer"),
        (b"\n" * 619, "provider_bad_answer"),
        (b": no end", "provider_bad_answer"),
        (b"<html>", "provider_bad_answer"),
        (b"[" * 100_000, "provider_bad_answer"),
        (b'{"output": NaN}', "provider_bad_answer"),
        (b'{"output": Infinity}', "provider_bad_answer"),
        (b'{"output": "\\ud800"}', "provider_bad_answer"),
        (b"\xff\xfe{}", "provider_bad_answer"),
        (b'{"output": 1} {"output": 2}', "provider_bad_answer"),
        (b'{"output":', "provider_interrupted"),
        (b'{"output": ["iVBORw0K', "provider_interrupted"),
        (b'{"output": {"a": tru', "provider_interrupted"),
        (b'{"output": ["a"],', "provider_interrupted"),
        ('{"text": "Füchse im Sch'.encode(), "provider_interrupted"),
        (b"{}", "provider_bad_answer"),
        (b"null", "provider_bad_answer"),
        (b'{"output": null}', "provider_bad_answer"),
        (b'{"output": 7, "data": true, "image": {}}', "provider_bad_answer"),
        (b'{"output": []}', "no_image"),
        (b'{"output": ["?"]}', "bad_image"),
        (b'{"output": "%s"}' % base64.b64encode(PICTURE[:-40]), "bad_image"),
    ],
    ids=lambda value: repr(value[:30]),
)
def test_p48_to_p51_what_cannot_be_read_is_interrupted(body: bytes, code: str) -> None:
    error = failure("aihubmix", body)
    assert (type(error), error.code, error.http_status) == (Interrupted, code, 200)


def test_p51_a_number_of_many_digits_is_no_danger() -> None:
    for body in (b"9" * 10_000, b'{"output": %s}' % (b"9" * 10_000), b"-1e" + b"9" * 400):
        assert failure("aihubmix", body).outcome == "interrupted"


def test_p51_of_duplicate_keys_the_last_wins() -> None:
    assert reply("aihubmix", bytearray(b'{"output": 7, "output": ["%s"]}' % B64.encode()))[1] == PICTURE


def test_p51_an_answer_of_too_many_parts_is_refused_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_json(b"[" + b"0," * (MAX_PARTS - 2) + b"0]") == [0] * (MAX_PARTS - 1)
    monkeypatch.setattr("worker.sandbox.child.orjson.loads", lambda _: pytest.fail("was parsed"))
    for part in (b"{},", b"0,", b"[", b"{"):
        assert failure("aihubmix", b"[" + part * (MAX_PARTS + 1)).code == "provider_bad_answer"


@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n"], ids=repr)
def test_p55_of_a_stream_that_nobody_asked_for_the_longest_event_is_read(end: str) -> None:
    delta = {"choices": [{"delta": {"images": [{"image_url": {"url": B64}}]}}]}
    events = [json.dumps({"choices": [{"delta": {"content": ""}}]}), json.dumps(delta), "[DONE]"]
    stream = "".join(f"data: {event}{end}" for event in events)
    assert reply("openrouter", bytearray(stream.encode()))[1] == PICTURE
    named = "".join(f"event: chunk{end[: len(end) // 2]}data: {event}{end}" for event in events)
    assert reply("openrouter", bytearray(named.encode()))[1] == PICTURE


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b"data:\xef\xbb\xbf", b"data:\n\ndata:"], ids=repr)
def test_what_may_stand_before_json_is_skipped(start: bytes) -> None:
    assert reply("openrouter", bytearray(start + chat(B64)))[1] == PICTURE


FLOATS = st.floats(allow_nan=False, allow_infinity=False)


@given(st.recursive(st.none() | st.booleans() | FLOATS | st.text(), st.lists))
def test_json_that_is_whole_is_loaded(value: Any) -> None:
    assert load_json(json.dumps(value).encode()) == value


@given(st.binary(max_size=200) | st.text(alphabet='{}[]",:01truefalsn \\u').map(str.encode))
def test_any_bytes_are_json_or_a_provider_error(body: bytes) -> None:
    for provider in ("openrouter", "aihubmix", ""):
        assert failure(provider, body).outcome in ("interrupted", "transient", "rejected", "unusable")


def test_a_picture_that_costs_and_cannot_be_read_keeps_its_cost() -> None:
    assert failure("openrouter", bytes(chat("data:image/png;base64,AAAA"))).cost_usd == 0.04


@pytest.mark.parametrize(
    ("data", "outcome", "code"),
    [
        (b"", "interrupted", "bad_image"),
        (PICTURE[:-30], "interrupted", "bad_image"),
        (PICTURE[:40], "interrupted", "bad_image"),
        (PICTURE.replace(b"IDAT", b"IDAX", 1), "interrupted", "bad_image"),
        (picture(MIN_SIDE - 1), "interrupted", "bad_image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>" * 9, "interrupted", "unsupported_image"),
        (b"<!DOCTYPE html><html></html>" * 9, "interrupted", "unsupported_image"),
        (b"%PDF-1.7 " * 99, "interrupted", "unsupported_image"),
        (png.png(50_000, 50_000), "unusable", "image_too_large"),
        (png.png(9_000, 9_000), "unusable", "image_too_large"),
        (png.png(20_000, 70), "unusable", "image_too_large"),
    ],
    ids=["nothing", "cut", "header", "no-pixels", "63px", "svg", "html", "pdf", "50000px", "81mpx", "long"],
)
def test_p58_to_p69_what_is_no_picture_of_ours_is_refused(data: bytes, outcome: str, code: str) -> None:
    error = failure("", data)
    assert (error.outcome, error.code, error.http_status) == (outcome, code, 200)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_p60_the_bytes_say_what_a_picture_is_and_not_its_label(kind: str) -> None:
    data = base64.b64encode(picture(kind=kind)).decode()
    found, _ = reply("openrouter", chat(f"data:image/x-icon;base64,{data}"))
    assert found["mime"] == f"image/{kind.lower()}"


def test_p62_what_follows_a_picture_is_cut_off() -> None:
    found, data = reply("", bytearray(PICTURE + b"<script>alert(1)</script>PK\x03\x04"))
    assert data == PICTURE
    assert found["sha256"] == hashlib.sha256(PICTURE).hexdigest()


def test_p67_the_place_of_a_photo_is_taken_away_and_its_orientation_stays() -> None:
    photo = corpus_good.save(corpus_good.scene(), "JPEG", exif=corpus_good.exif(orientation=6, gps=True))
    found, data = read_picture(photo)
    assert b"Exif" in data
    assert len(data) < len(photo)
    assert (found["mime"], found["width"], found["height"]) == ("image/jpeg", 240, 320)  # as people see it


def test_p69_a_picture_of_one_colour_is_told() -> None:
    assert read_picture(picture(blank=True))[0]["is_blank"]


@pytest.mark.parametrize(("provider", "code"), [("openrouter", "answer_too_large"), ("", "image_too_large")])
def test_what_needs_too_much_memory_is_too_large(provider: str, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("worker.sandbox.child.clean", fail)
    body = bytes(chat(B64)) if provider else PICTURE
    assert (failure(provider, body).outcome, failure(provider, body).code) == ("unusable", code)


@pytest.mark.parametrize("unforeseen", [RecursionError(), ZeroDivisionError(), KeyError("x")], ids=repr)
def test_an_exception_that_nobody_foresaw_is_an_unreadable_answer(
    unforeseen: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise unforeseen

    monkeypatch.setattr("worker.sandbox.child.load_json", fail)
    assert failure("openrouter", b"{} and a secret").code == "provider_bad_answer"
    assert capsys.readouterr().err == f"reader: {type(unforeseen).__name__}\n"


def test_what_a_provider_says_is_told_as_its_error() -> None:
    error = failure("openrouter", b'{"error": {"code": 429, "message": "slow \\ud83e\\udd8a", "metadata": {}}}')
    assert (error.outcome, error.code) == ("rate_limited", "provider_rate_limited")


def test_an_answer_without_a_picture_raises() -> None:
    with pytest.raises(Interrupted, match="without an image"):
        read_answer("openrouter", bytearray(b'{"choices": []}'))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((text, True) for text in (LINK, f" \n{LINK}", "HTTP://x", "file:///etc/passwd", "ftp:x", "javascript:1")),
        *((text, False) for text in (B64, f"data:image/png;base64,{B64}", "DATA:,x", " data:", "", "//cdn.example/x")),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_link_is_told_from_a_picture(text: str, expected: bool) -> None:
    assert is_link(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        B64,
        f"data:image/png;base64,{B64}",
        f"DATA:image/PNG;charset=utf-8;name=x;base64,{B64}",
        f"data:;base64,{B64}",
        f'data:image/png;name="a,b;c";base64,{B64}',
        f"data:image/png; BASE64 ,{B64}",
        f"data:image/png,{quote_from_bytes(PICTURE)}",
        f"data:,{quote_from_bytes(PICTURE)}",
        f" \n data:image/png;base64, {B64} \r\n",
        "\r\n".join(B64[place : place + 76] for place in range(0, len(B64), 76)),
        B64.rstrip("="),
        B64.replace("+", "-").replace("/", "_"),
        B64.replace("+", "%2B").replace("/", "%2f").replace("=", "%3D"),
        " ".join(B64),
    ],
    ids=[
        *("plain", "url", "parameters", "no-mime", "comma-in-quotes", "odd-base64", "bytes", "bytes-no-mime"),
        *("spaces", "crlf", "no-padding", "url-safe", "percent", "spread"),
    ],
)
def test_p57_every_fair_spelling_of_a_picture_is_decoded(text: str) -> None:
    assert decode_picture(text) == PICTURE


BROKEN = ["", " ", "=", "data:", "data:,", "data:image/png;base64,", "data:image/png;base64", "A", "AAAAA", "!!!!"]


@pytest.mark.parametrize("text", [*BROKEN, "%", "é", "A=A="])
def test_p58_what_is_no_base64_is_a_damaged_image(text: str) -> None:
    with pytest.raises(ProviderError) as caught:
        decode_picture(text)
    assert (caught.value.outcome, caught.value.code) == ("interrupted", "bad_image")


@given(st.text(alphabet=st.characters(codec="utf-8")) | st.text(alphabet="ABab01+/-_=%, \n"))
def test_p58_any_text_is_bytes_or_a_damaged_image(text: str) -> None:
    try:
        data = decode_picture(text)
    except ProviderError as error:
        data = error.code.encode()
    assert data
