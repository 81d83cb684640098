"""Group http: requests byte by byte, as no client of good manners would write them."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from typing import Any

from tests.catalogues.bad_input.gateway import Gateway

FOX = b'{"prompt": "canary fox"}'
SECOND = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(FOX)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNK = b"%x\r\n%b\r\n" % (len(FOX), FOX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """All that came back until the gateway closed the connection."""

    status: int
    headers: Message
    body: bytes = field(repr=False)
    answers: int

    @property
    def code(self) -> str:
        """Tell the code of the problem."""
        return str(self.problem["code"])

    @property
    def problem(self) -> dict[str, Any]:
        """Read the problem."""
        return dict(json.loads(self.body))


def head(gateway: Gateway, target: str = "/v1/jobs", method: str = "POST", *, who: str = "ann") -> bytes:
    """Begin a request, without its blank line."""
    kind = "Content-Type: application/json\r\n" if method == "POST" else "Connection: close\r\n"
    token = "".join(f"{name}: {value}\r\n" for name, value in gateway.headers(who).items())
    return f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n{token}{kind}".encode()


def tell(gateway: Gateway, *pieces: bytes) -> Reply:
    """Send bytes, and read until the connection is closed. Raises TimeoutError when it is not."""
    with socket.create_connection(gateway.address, timeout=5) as line:
        for piece in pieces:
            with suppress(ConnectionError):  # it has heard enough
                line.sendall(piece)
        return read(line)


def read(line: socket.socket) -> Reply:
    """Read until the connection is closed."""
    received = b""
    with suppress(ConnectionResetError):
        while data := line.recv(65_536):
            received += data
    start, _, body = received.partition(b"\r\n\r\n")
    first, _, headers = start.partition(b"\r\n")
    return Reply(
        status=int(first.split(b" ")[1]),
        headers=BytesParser().parsebytes(headers + b"\r\n\r\n"),
        body=body,
        answers=received.count(b"HTTP/1.1 "),
    )


# What follows the head of a request to hand in; each may have a second request behind it.
FRAMED: dict[str, Sequence[bytes]] = {
    "length and chunks": (LENGTH, CHUNKED, b"\r\n0\r\n\r\n"),
    "chunks and length": (CHUNKED, LENGTH, b"\r\n0\r\n\r\n"),
    "two lengths": (LENGTH, b"Content-Length: 0\r\n\r\n", FOX),
    "the same length twice": (LENGTH, LENGTH, b"\r\n", FOX),
    "a list of lengths": (b"Content-Length: 24, 24\r\n\r\n", FOX),
    "length below zero": (b"Content-Length: -1\r\n\r\n", FOX),
    "length with a plus": (b"Content-Length: +24\r\n\r\n", FOX),
    "hexadecimal length": (b"Content-Length: 0x18\r\n\r\n", FOX),
    "xchunked": (b"Transfer-Encoding: xchunked\r\n\r\n", CHUNK),
    "chunked twice": (b"Transfer-Encoding: chunked, chunked\r\n\r\n", CHUNK),
    "two codings": (CHUNKED, b"Transfer-Encoding: identity\r\n\r\n", CHUNK),
    "no size of a chunk": (CHUNKED, b"\r\nxyz\r\n"),
    "a chunk longer than it says": (CHUNKED, b"\r\n2\r\n", FOX, b"\r\n0\r\n\r\n"),
    "bare line feed": (b"X: y\n", LENGTH, b"\r\n", FOX),
    "bare line feed in a trailer": (CHUNKED, b"\r\n", CHUNK, b"0\r\nX: y\n\r\n"),
    "folded header": (b"X: y\r\n z\r\n", LENGTH, b"\r\n", FOX),
    "folded length": (b"Content-Length:\r\n 24\r\n\r\n", FOX),
    "folded trailer": (CHUNKED, b"\r\n", CHUNK, b"0\r\nX: y\r\n z\r\n\r\n"),
    "space before the colon": (b"Content-Length : 24\r\n\r\n", FOX),
    "name with a space": (b"Content Length: 24\r\n\r\n", FOX),
    "NUL in a header": (b"X: y\0z\r\n", LENGTH, b"\r\n", FOX),
}
LOST = (
    *("/v1/jobs/../admin", "//v1/jobs", "/v1//jobs", "/v1/jobs/%2e%2e/", "/v1/jobs/%2e%2e%2fadmin", "/v1/jobs;x=1"),
    *("/v1/jobs%00", "/V1/jobs", "/v1/jobs/ID/", "/v1/jobs/ID%2Fevents", "/v1/artifacts/%2e%2e%2f%2e%2e"),
    *("/problems/%2e%2e%2fx", "/problems/canary", "/static-offline-docs/../../etc/passwd"),
    *("/static-offline-docs/%2e%2e/%2e%2e/etc/passwd", "/static-offline-docs/..%2f..%2fetc%2fpasswd"),
)
HOSTS = (
    *("evil.com", "127.0.0.1.nip.io", "localhost:0", "localhost:65536", "localhost.", "[::]", "[::1", "0.0.0.0"),
    *("[0:0:0:0:0:0:0:1]", "127.1", "2130706433", "localhost@evil.com", "evil.com/localhost", "localhost, evil.com"),
    *("", "l\u043ecalhost"),
)
OWN_HOSTS = ("localhost", "LOCALHOST:8790", "127.0.0.1", "[::1]:80")
