"""Heads that two servers may read in two ways are none."""

from __future__ import annotations

import h11
import pytest

from producer.api.server.strict_http import StrictBuffer, fault_of
from producer.error_catalogue import BAD_REQUEST

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (GET + b"X: y\r\n\r\n", None),
        (GET + b"Content-Length: 5\r\n\r\n", None),
        (b"GET / HTTP/1.0\r\n\r\n", None),  # the guard asks for a host
        (b"X: y\r\n\r\n", None),  # trailers
        (b"\r\n", None),
        (GET + b"X: y\r\n z\r\n\r\n", "bad_request"),
        (GET + b"X: y\r\n\tz\r\n\r\n", "bad_request"),
        (b" X: y\r\n\r\n", "bad_request"),
        (GET + b"X: y\n\r\n", "bad_request"),
        (b"\n", "bad_request"),
        (GET + b"Content-Length: 5\r\nCONTENT-LENGTH: 5\r\n\r\n", "bad_request"),
        (GET + b"Content-Length: 5, 5\r\n\r\n", "bad_request"),
        (GET + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "bad_request"),
        (b"GET / HTTP/1.1\r\n\r\n", "host_not_allowed"),
        (GET + b"host: localhost\r\n\r\n", "host_not_allowed"),
    ],
)
def test_a_head_is_judged_by_its_bytes(head: bytes, code: str | None) -> None:
    fault = fault_of(head)
    assert (fault and fault.code) == code


def test_h11_reads_through_the_strict_buffer() -> None:
    connection = h11.Connection(h11.SERVER)
    connection._receive_buffer = buffer = StrictBuffer()
    connection.receive_data(GET + b"X: y\r\n z\r\n\r\n")
    with pytest.raises(h11.RemoteProtocolError):
        connection.next_event()
    assert buffer.fault is BAD_REQUEST


def test_a_head_in_pieces_is_judged_when_it_is_whole() -> None:
    connection = h11.Connection(h11.SERVER)
    connection._receive_buffer = StrictBuffer()
    connection.receive_data(GET + b"X: y\r\n")
    assert connection.next_event() is h11.NEED_DATA
    connection.receive_data(b"\r\n")
    assert isinstance(connection.next_event(), h11.Request)
