"""Frames between us and a child process, over a real pair of sockets."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from contract.untrusted.sandbox_protocol import receive, send

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    here, there = socket.socketpair()
    here.settimeout(2)
    there.settimeout(2)
    with here, there:
        yield here, there


@pytest.mark.parametrize(
    "head", [{}, {"provider": "openrouter"}, {"error": {"values": {"reason": "a\nb é \ud800 \0"}}, "cost_usd": 0.04}]
)
@pytest.mark.parametrize("body", [b"", b"\n", b"{}\n{}", bytes(range(256))], ids=repr)
def test_a_frame_comes_out_as_it_went_in(pair: Pair, head: dict[str, Any], body: bytes) -> None:
    send(pair[0], head, body)
    assert receive(pair[1]) == (head, bytearray(body))


def test_frames_come_one_after_the_other(pair: Pair) -> None:
    for number in range(3):
        send(pair[0], {"number": number}, b"x" * number)
    assert [receive(pair[1]) for _ in range(3)] == [
        ({"number": number}, bytearray(b"x" * number)) for number in range(3)
    ]


def test_a_body_of_many_megabytes_passes(pair: Pair) -> None:
    body = bytearray(range(256)) * 2**16
    thread = threading.Thread(target=send, args=(pair[0], {}, body))
    thread.start()
    assert receive(pair[1]) == ({}, body)
    thread.join()


def test_a_body_can_be_emptied_once_it_was_sent(pair: Pair) -> None:
    body = bytearray(b"abc")
    send(pair[0], {}, body)
    body.clear()
    assert receive(pair[1])[1] == b"abc"


@pytest.mark.parametrize("sent", [b"", b"{", b'{"length": 3}\n', b'{"length": 3}\nab'], ids=repr)
def test_an_end_in_the_middle_is_told(pair: Pair, sent: bytes) -> None:
    pair[0].sendall(sent)
    pair[0].close()
    with pytest.raises(EOFError):
        receive(pair[1])


def test_a_head_that_is_too_long_is_not_read_to_its_end(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contract.untrusted.sandbox_protocol.MAX_HEAD", 100)
    pair[0].sendall(b'{"length": 0}'.rjust(99) + b"\n" + b'{"length": 0}'.rjust(100) + b"\n")
    assert receive(pair[1]) == ({}, bytearray())
    with pytest.raises(EOFError):
        receive(pair[1])


@pytest.mark.parametrize("sent", [b"\n", b"no json\n", b'{"length": -1}\n', b"\xff\n"], ids=repr)
def test_what_is_no_frame_is_told(pair: Pair, sent: bytes) -> None:
    pair[0].sendall(sent)
    pair[0].close()
    with pytest.raises(ValueError, match=r".+"):
        receive(pair[1])


def test_silence_ends_after_the_sockets_own_time(pair: Pair) -> None:
    pair[1].settimeout(0.05)
    pair[0].sendall(b'{"length": 3}\na')
    with pytest.raises(TimeoutError):
        receive(pair[1])


def test_nobody_at_the_other_end_is_told(pair: Pair) -> None:
    pair[1].close()
    with pytest.raises(OSError, match="pipe"):
        send(pair[0], {}, b"x")
