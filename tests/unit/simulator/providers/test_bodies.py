"""Bodies of a 200 are as wrong as the catalogue says (P43 to P56)."""

import gzip
import json
import struct
import time
import zlib

import pytest
from simulator.providers.calls import CHAT, PREDICT, chat, converse, encode, predict
from simulator.server.encodings import BOMB_BYTES
from simulator.server.server import Simulator


async def see(sim: Simulator, row: str, variant: str, *, path: str = CHAT, **options: object) -> tuple[bytes, bytes]:
    """Play one variant and return head and body."""
    sim.script([{"kind": row, "variant": variant, "specimen": "good_jpeg", **options}])
    body = chat("secret fox") if path == CHAT else predict("secret fox")
    answer, _ = await converse(sim.port, encode(path, body), seconds=5, most=400_000)
    head, _, content = answer.partition(b"\r\n\r\n")
    return head, content


@pytest.mark.parametrize("path", [CHAT, PREDICT])
async def test_errors_hide_in_a_200(sim: Simulator, path: str) -> None:
    for row, variant in [("P43", "429"), ("P43", "error_text"), ("P44", "error_choice"), ("P44", "error_choice_429")]:
        head, body = await see(sim, row, variant, path=path)

        assert head.startswith(b"HTTP/1.1 200")
        assert b'"error"' in body


@pytest.mark.parametrize("path", [CHAT, PREDICT])
async def test_pictures_are_withheld(sim: Simulator, path: str) -> None:
    _, body = await see(sim, "P47", "prohibited_content", path=path)

    assert b"content_filter" in body
    assert b"PROHIBITED_CONTENT" in body


@pytest.mark.parametrize(
    ("variant", "start", "content_type"),
    [
        ("html", b"<!doctype", b"text/html"),
        ("empty", b"", b"application/json"),
        ("text_plain", b'{"id"', b"text/plain"),
        ("null", b"null", b"application/json"),
        ("array", b"[]", b"application/json"),
        ("byte_order_mark", b"\xef\xbb\xbf{", b"application/json"),
    ],
)
async def test_no_json_or_not_called_so(sim: Simulator, variant: str, start: bytes, content_type: bytes) -> None:
    head, body = await see(sim, "P49", variant)

    assert body.startswith(start)
    assert b"Content-Type: " + content_type in head


@pytest.mark.parametrize("variant", ["half", "no_last_brace", "one_byte", "two_documents", "tail"])
async def test_json_is_cut_or_continued(sim: Simulator, variant: str) -> None:
    _, body = await see(sim, "P50", variant)

    with pytest.raises(json.JSONDecodeError):
        json.loads(body)


async def test_json_has_traps(sim: Simulator) -> None:
    bodies = {
        name: (await see(sim, "P51", name))[1]
        for name in ("duplicate_keys", "nan", "long_int", "deep_arrays", "lone_surrogate", "bad_utf_8", "bomb")
    }

    assert bodies["duplicate_keys"].count(b'"choices"') == 2
    assert json.loads(bodies["duplicate_keys"])["choices"]
    assert b'"created":NaN' in bodies["nan"]
    assert b"9" * 10_000 in bodies["long_int"]
    assert b"[" * 100_000 in bodies["deep_arrays"]
    assert b"\\ud800" in bodies["lone_surrogate"]
    assert b"\xff\xfe" in bodies["bad_utf_8"]
    assert bodies["bomb"].count(b"{},") > 100_000


async def test_hundred_megabytes_are_sent(sim: Simulator) -> None:
    sim.script([{"kind": "P53", "specimen": "good_jpeg"}])

    answer, end = await converse(sim.port, encode(CHAT, chat()), seconds=20)

    body = answer.partition(b"\r\n\r\n")[2]
    assert (len(body), end) == (100 * 2**20, "fin")
    assert json.loads(body).keys() == {"padding"}


@pytest.mark.parametrize("variant", ["endless", "endless_until_close", "petabyte"])
async def test_body_does_not_end(sim: Simulator, variant: str) -> None:
    sim.script([{"kind": "P53", "variant": variant, "specimen": "good_jpeg"}])

    answer, end = await converse(sim.port, encode(CHAT, chat()), seconds=5, most=1_000_000)

    assert (len(answer) >= 1_000_000, end) == (True, "enough")


async def test_gzip_bomb_is_blanks_before_a_good_answer(sim: Simulator) -> None:
    head, body = await see(sim, "P54", "gzip_bomb")

    (unpacked_size,) = struct.unpack("<I", body[-4:])
    assert b"Content-Encoding: gzip\r\n" in head + b"\r\n"
    assert (len(body) < 400_000, unpacked_size > BOMB_BYTES) == (True, True)
    assert zlib.decompressobj(31).decompress(body, 1_000_000) == b" " * 1_000_000


async def test_encodings_lie(sim: Simulator) -> None:
    says_gzip, plain = await see(sim, "P54", "says_gzip")
    says_twice, twice = await see(sim, "P54", "gzip_of_gzip")
    says_nothing, packed = await see(sim, "P54", "says_nothing")

    assert b"Content-Encoding: gzip" in says_gzip
    assert json.loads(plain)
    assert b"gzip, gzip" in says_twice
    assert json.loads(gzip.decompress(gzip.decompress(twice)))
    assert (b"identity" in says_nothing, packed[:2]) == (True, b"\x1f\x8b")


@pytest.mark.parametrize(("name", "magic"), [("zstd_bomb", b"\x28\xb5\x2f\xfd"), ("brotli_bomb", b"\xcf\xff\xff\x7f")])
async def test_other_bombs_are_small(sim: Simulator, name: str, magic: bytes) -> None:
    _, body = await see(sim, "P54", name)

    assert (body[:4], len(body) < 10_000) == (magic, True)


async def test_events_come_although_nobody_asked(sim: Simulator) -> None:
    head, body = await see(sim, "P55", "event_stream")

    assert b"text/event-stream" in head
    assert body.startswith(b": OPENROUTER PROCESSING\n\n")
    assert body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("variant", "text"),
    [("dripped_comments", b": OPENROUTER"), ("dripped_blanks", b"\n   "), ("dripped_events", b": OPENROUTER")],
)
async def test_something_is_dripped_before_the_json(sim: Simulator, variant: str, text: bytes) -> None:
    started = time.monotonic()

    _, body = await see(sim, "P55", variant, seconds=0.12, every=0.02)

    assert 0.12 <= time.monotonic() - started < 2
    assert body.count(text) >= 4
    assert b'"choices"' in body
    assert body.endswith(b"0\r\n\r\n")
    assert (b"data: [DONE]" in body) == (variant == "dripped_events")


@pytest.mark.parametrize("path", [CHAT, PREDICT])
async def test_messages_carry_what_must_not_be_shown(sim: Simulator, path: str) -> None:
    _, secrets = await see(sim, "P56", "secrets_in_401", path=path)
    _, escapes = await see(sim, "P56", "ansi_in_200", path=path)
    _, markup = await see(sim, "P56", "html_in_words", path=path)
    _, page = await see(sim, "P56", "secrets_in_a_page", path=path)
    _, long = await see(sim, "P56", "long_in_500", path=path)

    assert "sk-test was refused for: secret fox" in json.loads(secrets)["error"]["message"]
    assert "\x1b[31m" in json.loads(escapes)["error"]["message"]
    assert "<script>" in json.dumps(json.loads(markup))
    assert b"sk-test" in page
    assert len(long) > 300_000
