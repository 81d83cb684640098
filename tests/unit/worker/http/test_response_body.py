"""Reading a body piece by piece: keep-alive is left out, and silence, drips, floods and encodings end it."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.answers.errors import ProviderError, TimedOut, Unusable
from worker.http.response_body import LEAST_PER_S, MAX_COMMENT, read_body

COMMENT = b": OPENROUTER PROCESSING\n\n"


class Pieces(httpx.AsyncByteStream):
    """A body that comes in pieces, each after a pause; a number is a longer one, an exception an end."""

    def __init__(self, pieces: Iterable[bytes | float | Exception], *, pause_s: float = 0) -> None:
        self._pieces = pieces
        self._pause_s = pause_s
        self.sent = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            await asyncio.sleep(piece if isinstance(piece, float) else self._pause_s)
            if isinstance(piece, Exception):
                raise piece
            if isinstance(piece, bytes):
                self.sent += len(piece)
                yield piece


async def read(
    pieces: Iterable[bytes | float | Exception],
    *,
    pause_s: float = 0,
    most: int = 10_000,
    idle_s: float = 5,
    **headers: str,
) -> bytes:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = httpx.Response(200, headers=named, stream=Pieces(pieces, pause_s=pause_s))
    return bytes(await read_body(response, most, idle_s=idle_s))


async def begun_after(pieces: list[bytes]) -> int | None:
    """Read a body, and tell with which of its pieces the answer itself began."""
    begun: list[int] = []
    stream = Pieces(pieces)

    def begin() -> None:
        begun.append(stream.sent)

    await read_body(httpx.Response(200, stream=stream), 10 * MAX_COMMENT, idle_s=5, begun=begin)
    assert len(begun) <= 1
    sizes = [sum(map(len, pieces[: place + 1])) for place in range(len(pieces))]
    return sizes.index(begun[0]) if begun else None


async def test_a_body_is_read_to_its_end() -> None:
    assert await read([b'{"a"', b": 1", b"}"]) == b'{"a": 1}'
    assert await read([]) == b""


@pytest.mark.parametrize(
    "before",
    [b"\n", b" \t\r\n" * 99, COMMENT, COMMENT * 9, b"\n: x\r\n\n", b":\n", b": a\n: b\n  "],
    ids=repr,
)
async def test_p55_what_only_keeps_the_connection_alive_is_left_out(before: bytes) -> None:
    assert await read([before + b"{}"]) == b"{}"
    assert await read([before, b"{}"]) == b"{}"
    assert await read([bytes([byte]) for byte in before + b"{}"]) == b"{}"


@pytest.mark.parametrize("body", [b"{}\n\n: late\n", b'{": x\n": 1}', b"  ".join([b"[1,", b"2]"])], ids=repr)
async def test_what_stands_in_or_behind_the_answer_stays(body: bytes) -> None:
    assert await read([body]) == body
    assert await read([bytes([byte]) for byte in body]) == body


@pytest.mark.parametrize("body", [b"", b"\n\n", COMMENT, COMMENT + b"  "], ids=repr)
async def test_keep_alive_alone_is_an_empty_answer(body: bytes) -> None:
    assert await read([body]) == b""


@given(st.lists(st.sampled_from([b" ", b"\n", b": x\n", b":", b"y", b"\n: long", b"{}"]), max_size=12), st.data())
def test_it_does_not_matter_how_a_body_is_cut(parts: list[bytes], data: st.DataObject) -> None:
    body = b"".join(parts)
    cut = data.draw(st.integers(0, len(body)))
    whole = asyncio.run(read([body]))
    assert asyncio.run(read([body[:cut], body[cut:]])) == whole
    assert whole == re.sub(rb"\A(\s+|:[^\n]*\n)*", b"", body)


@pytest.mark.parametrize(
    ("pieces", "place"),
    [
        ([b"{", b"}"], 0),
        ([b"\n", b"  ", b"{", b"}"], 2),
        ([COMMENT, COMMENT, b"\n{}"], 2),
        ([b": unfin", b"ished", b"\n", b"{}"], 3),
        ([b":" + b"x" * (MAX_COMMENT - 2), b"x", b"x"], 1),
        ([b"\n", COMMENT], None),
        ([b": never ends", b"..."], None),
    ],
    ids=["at-once", "blanks", "comments", "unfinished-comment", "64-kib-comment", "only-keep-alive", "open-end"],
)
async def test_the_beginning_is_told_once_and_keep_alive_is_none(pieces: list[bytes], place: int | None) -> None:
    assert await begun_after(pieces) == place


async def test_p53_a_body_above_the_cap_is_not_read_to_its_end() -> None:
    stream = Pieces([bytes(1000)] * 100)
    with pytest.raises(Unusable) as caught:
        await read_body(httpx.Response(200, stream=stream), 10_000, idle_s=5)
    assert (caught.value.code, caught.value.http_status, stream.sent) == ("answer_too_large", 200, 11_000)


async def test_p53_a_body_of_just_the_cap_is_read() -> None:
    assert await read([b"x" * 10_000]) == b"x" * 10_000


@pytest.mark.parametrize("piece", [b"\n" * 1000, COMMENT * 40], ids=["blanks", "comments"])
async def test_p53_keep_alive_counts_towards_the_cap(piece: bytes) -> None:
    with pytest.raises(Unusable, match="too large"):
        await read([piece] * 100)


@pytest.mark.parametrize(
    "encoding", ["gzip", "br", "zstd", "deflate", "gzip, gzip", "x-unknown", "GZIP", "identity, br"]
)
async def test_p54_an_encoding_that_we_did_not_ask_for_is_refused_undecoded(encoding: str) -> None:
    with pytest.raises(Unusable) as caught:
        await read(iter(lambda: pytest.fail("was read"), None), content_encoding=encoding)
    assert caught.value.code == "answer_encoded"
    shown = encoding.lower() if encoding in ("gzip", "br", "zstd", "deflate", "gzip, gzip", "GZIP") else None
    assert caught.value.values.get("encoding") == shown


@pytest.mark.parametrize("encoding", ["identity", "Identity", ""])
async def test_p54_no_encoding_may_be_called_by_its_name(encoding: str) -> None:
    assert await read([b"{}"], content_encoding=encoding) == b"{}"


@pytest.mark.parametrize("before", [[], [b"\n"], [b"{"], [b": x"]], ids=repr)
async def test_p12_silence_ends_a_body(before: list[bytes]) -> None:
    with pytest.raises(TimeoutError):
        await read([*before, 60.0], idle_s=0.02)


async def test_p11_a_drip_is_no_silence_but_too_slow() -> None:
    with pytest.raises(TimedOut) as caught:
        await read([b"{"] * 1000, pause_s=0.01, idle_s=0.1)
    assert (caught.value.code, caught.value.http_status) == ("provider_timeout", 200)


async def test_p11_an_answer_that_begins_well_and_then_drips_is_too_slow() -> None:
    with pytest.raises(ProviderError, match="time"):
        await read([b"{" * 9000, *[b"x"] * 1000], pause_s=0.01, idle_s=0.05)


async def test_a_steady_body_may_take_longer_than_any_window() -> None:
    piece = b"x" * LEAST_PER_S
    assert len(await read([piece] * 8, pause_s=0.01, most=2**20, idle_s=0.03)) == 8 * LEAST_PER_S


@pytest.mark.parametrize("piece", [b"\n", COMMENT, b": "], ids=["blanks", "comments", "unfinished-comment"])
async def test_p55_keep_alive_is_not_judged_by_its_pace(piece: bytes) -> None:
    assert (await read([*[piece] * 8, b"\n{}"], pause_s=0.01, idle_s=0.05)).endswith(b"{}")


async def test_a_flood_of_keep_alive_is_skipped_in_no_time() -> None:
    async with asyncio.timeout(5):
        assert await read([COMMENT * 40_000] * 10 + [b"{}"], most=2**25) == b"{}"


async def test_an_endless_comment_is_not_looked_at_again_and_again() -> None:
    async with asyncio.timeout(5):
        pieces = [b":", *[b"x" * 1024] * 4096]
        assert len(await read(pieces, most=2**24)) == 1 + 2**22


async def test_what_httpx_raises_comes_out() -> None:
    with pytest.raises(httpx.ReadError):
        await read([b"{", httpx.ReadError("reset")])
