"""The faults of connection, pace and framing are on the wire as the catalogue says (P04 to P23)."""

import asyncio
import time
from contextlib import suppress

import pytest
from simulator.providers.calls import CHAT, chat, converse, encode
from simulator.server.framing import HUGE_LINE_BYTES
from simulator.server.server import Simulator


async def see(sim: Simulator, row: str, variant: str, *, seconds: float = 3, **options: object) -> tuple[bytes, str]:
    """Play one variant on a fresh connection."""
    sim.script([{"kind": row, "variant": variant, "specimen": "good_jpeg", **options}])
    return await converse(sim.port, encode(CHAT, chat()), seconds=seconds)


def split(answer: bytes) -> tuple[bytes, bytes]:
    """Split an answer into head and body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return head, body


def claimed_length(head: bytes) -> int:
    return int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0])


@pytest.mark.parametrize(("variant", "end"), [("fin", "fin"), ("rst", "rst")])
async def test_ends_before_headers(sim: Simulator, variant: str, end: str) -> None:
    assert await see(sim, "P04", variant) == (b"", end)


async def test_reset_during_upload(sim: Simulator) -> None:
    sim.script("P04.rst_during_upload")

    assert await converse(sim.port, encode(CHAT, chat("fox " * 1_000_000))) == (b"", "rst")
    assert (sim.ledger[0].kind, sim.ledger[0].billed) == ("P04.rst_during_upload", False)


@pytest.mark.parametrize(("variant", "status"), [("reuse", b"503"), ("reuse_after_success", b"200")])
async def test_stale_connection_closes_when_it_is_used_again(sim: Simulator, variant: str, status: bytes) -> None:
    sim.script([{"kind": "P05", "variant": variant, "specimen": "good_jpeg"}])
    call = encode(CHAT, chat(), keep_alive=True)
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
    writer.write(call)
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(claimed_length(head))

    await asyncio.sleep(0.05)
    assert not reader.at_eof()
    writer.write(call)
    with suppress(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(), 2) == b""
    writer.transport.abort()

    assert head.split(b" ")[1] == status
    assert b"keep-alive" in head
    assert len(sim.ledger) == sim.connections == 1


async def test_stale_connection_closes_while_idle(sim: Simulator) -> None:
    sim.script("P05.idle")

    answer, end = await converse(sim.port, encode(CHAT, chat(), keep_alive=True))

    assert (answer[:12], end) == (b"HTTP/1.1 503", "fin")


async def test_headers_are_dripped(sim: Simulator) -> None:
    answer, end = await see(sim, "P10", "dripped_headers", seconds=0.12, every=0.01)

    assert answer.count(b"still here") > 2
    assert b"\r\n\r\n" not in answer
    assert end == "silence"


async def test_body_is_dripped(sim: Simulator) -> None:
    answer, end = await see(sim, "P11", "dripped_body", seconds=0.12, every=0.01)

    head, body = split(answer)
    assert 2 < len(body) < 40 < claimed_length(head)
    assert end == "silence"


@pytest.mark.parametrize(("variant", "least"), [("no_body", 0), ("half_a_body", 1000)])
async def test_silence_after_headers(sim: Simulator, variant: str, least: int) -> None:
    answer, end = await see(sim, "P12", variant, seconds=0.1)

    head, body = split(answer)
    assert least <= len(body) < claimed_length(head)
    assert end == "silence"


@pytest.mark.parametrize(("variant", "most"), [("never_read", 6_000_000), ("slowly_read", 6_000_000)])
async def test_upload_blocks(sim: Simulator, variant: str, most: int) -> None:
    sim.script([{"kind": "P14", "variant": variant, "every": 0.02}])
    _, writer = await asyncio.open_connection("127.0.0.1", sim.port)
    writer.write(encode(CHAT, chat("x" * 10_000_000)))

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(writer.drain(), 0.1)

    left = writer.transport.get_write_buffer_size()
    writer.transport.abort()
    assert left > 10_000_000 - most
    assert sim.ledger[0].status is None


async def test_slow_reader_notices_that_the_client_went(sim: Simulator) -> None:
    sim.script([{"kind": "P14", "variant": "slowly_read", "every": 0.001, "bytes": 100_000}])

    await converse(sim.port, encode(CHAT, chat("x" * 100_000)), seconds=0.05)
    call = await asyncio.wait_for(sim.ended_call(), 3)
    assert (call.kind, call.aborted_by_client) == ("P14.slowly_read", True)


@pytest.mark.parametrize(("variant", "mark"), [("mid_body", b"Content-Length"), ("mid_chunk", b"chunked")])
async def test_reset_in_the_middle(sim: Simulator, variant: str, mark: bytes) -> None:
    answer, end = await see(sim, "P15", variant)

    head, body = split(answer)
    assert mark in head
    assert len(body) > 1000
    assert not body.endswith(b"0\r\n\r\n")
    assert (end, sim.ledger[0].billed) == ("rst", True)


@pytest.mark.parametrize("variant", ["length_too_large", "length_half", "length_no_body"])
async def test_body_is_shorter_than_claimed(sim: Simulator, variant: str) -> None:
    answer, end = await see(sim, "P16", variant)

    head, body = split(answer)
    assert len(body) < claimed_length(head)
    assert end == "fin"


@pytest.mark.parametrize(
    ("row", "variant", "marks"),
    [
        ("P17", "no_final_chunk", [b"chunked", b"}\r\n"]),
        ("P17", "chunk_size_text", [b"\r\nxyz\r\n"]),
        ("P17", "chunk_size_negative", [b"\r\n-1\r\n"]),
        ("P18", "trailer_no_colon", [b"0\r\nthis is no trailer\r\n\r\n"]),
        ("P18", "trailer_nul", [b"a\x00b\r\n\r\n"]),
        ("P20", "http_1_0", [b"HTTP/1.0 200 OK\r\n"]),
        ("P20", "no_length", [b"Connection: close\r\n"]),
        ("P21", "garbage", [b"\x00\xff\x13\x37"]),
        ("P21", "status_999", [b"HTTP/1.1 999 "]),
        ("P21", "status_four_digits", [b"HTTP/1.1 2000 "]),
        ("P21", "switching_protocols", [b"HTTP/1.1 101 ", b"HTTP/1.1 200 OK"]),
        ("P22", "nul_header", [b"X-Nul: a\x00b\r\n"]),
        ("P22", "bare_cr_header", [b"a\rInjected: b\r\n"]),
        ("P22", "two_lengths", [b"Content-Length"]),
        ("P22", "length_and_chunks", [b"Content-Length", b"chunked"]),
        ("P23", "http2_goaway", [b"\x00\x00\x16\x07\x00"]),
        ("P23", "http2_goaway_in_body", [b"HTTP/1.1 200 OK", b"\x00\x00\x16\x07\x00"]),
    ],
)
async def test_framing_has_its_marks(sim: Simulator, row: str, variant: str, marks: list[bytes]) -> None:
    answer, end = await see(sim, row, variant)

    assert [mark for mark in marks if mark not in answer] == []
    assert end == "fin"


async def test_heads_are_huge(sim: Simulator) -> None:
    line, _ = await see(sim, "P22", "huge_line")
    many, _ = await see(sim, "P22", "many_lines")

    assert len(split(line)[0]) > HUGE_LINE_BYTES
    assert split(many)[0].count(b"\r\nX-Header-") == 1000


async def test_interim_answers_flood(sim: Simulator) -> None:
    some, _ = await see(sim, "P21", "interim_flood")
    endless, end = await see(sim, "P21", "interim_endless", seconds=0.1)

    assert some.count(b"HTTP/1.1 102 ") == 1000
    assert b"HTTP/1.1 200 OK" in some
    assert endless.count(b"HTTP/1.1 102 ") > 5
    assert (b" 200 " in endless, end) == (False, "silence")


async def test_endless_kinds_stop_when_the_client_goes(sim: Simulator) -> None:
    rows = ["P09", "P10", "P11", "P12", "P21.interim_endless", "P53.endless", "P55.blanks_for_ever", "P82.hang"]
    sim.script(", ".join(rows))
    started = time.monotonic()

    await asyncio.gather(*(converse(sim.port, encode(CHAT, chat()), seconds=0.1, most=10**6) for _ in rows))
    while any(call.seconds is None for call in sim.ledger):
        assert time.monotonic() - started < 5
        await asyncio.sleep(0.02)

    assert sim.errors == []
    assert all(call.aborted_by_client and call.aborted_after_s is not None for call in sim.ledger)
