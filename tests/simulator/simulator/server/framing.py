"""Frames a good answer wrongly: lengths, chunks, status lines and header lines that no server should send.

Each function takes the answer's body and returns every byte that goes over the wire.
"""

import struct
from collections.abc import Callable

CHUNK_BYTES = 8192
GOOD_LINE = b"HTTP/1.1 200 OK\r\n"
JSON_LINE = b"Content-Type: application/json\r\n"
CHUNKED_LINE = b"Transfer-Encoding: chunked\r\n"
HUGE_LINE_BYTES = 128 * 1024

Frame = Callable[[bytes], bytes]


def head(*lines: bytes, first: bytes = GOOD_LINE) -> bytes:
    """Return a head with further header lines, each ended by the caller."""
    return first + JSON_LINE + b"".join(lines) + b"\r\n"


def length(body: bytes, *, more: int = 0) -> bytes:
    """Return the Content-Length line, or a lie."""
    return b"Content-Length: %d\r\n" % (len(body) + more)


def chunks(body: bytes) -> bytes:
    """Return the body in chunks, without the last, empty one."""
    pieces = (body[at : at + CHUNK_BYTES] for at in range(0, len(body), CHUNK_BYTES))
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


def chunked(ending: bytes) -> Frame:
    """Return a frame of chunks with another ending than it should have."""
    return lambda body: head(CHUNKED_LINE) + chunks(body) + ending


def bad_chunk(size: bytes) -> Frame:
    """Return a frame whose second half follows a wrong chunk size."""

    def frame(body: bytes) -> bytes:
        middle = len(body) // 2
        return head(CHUNKED_LINE) + chunks(body[:middle]) + size + b"\r\n" + body[middle:] + b"\r\n0\r\n\r\n"

    return frame


def odd_lines(*lines: bytes) -> Frame:
    """Return a frame with header lines of a bad kind."""
    return lambda body: head(length(body), *lines) + body


def odd_first(line: bytes) -> Frame:
    """Return a frame with another status line."""
    return lambda body: head(length(body), first=line) + body


def many_lines(body: bytes) -> bytes:
    """Return an answer with 1,000 header lines."""
    return head(length(body), *(b"X-Header-%d: %d\r\n" % (number, number) for number in range(1000))) + body


def after_interim(line: bytes, count: int) -> Frame:
    """Return a frame that comes after interim answers."""
    return lambda body: (line + b"\r\n") * count + head(length(body)) + body


def http2(kind: int, payload: bytes, stream: int = 0) -> bytes:
    """Return an HTTP/2 frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, 0, stream) + payload


SETTINGS = http2(4, b"")
GO_AWAY = http2(7, struct.pack(">II", 0, 2) + b"internal error")
RST_STREAM = http2(3, struct.pack(">I", 2), stream=1)

FRAMES: dict[str, Frame] = {
    "length_too_large": lambda body: head(length(body, more=1000)) + body,
    "length_half": lambda body: head(length(body)) + body[: len(body) // 2],
    "length_no_body": lambda body: head(length(body)),
    "length_too_small": lambda body: head(length(body, more=-100)) + body,
    "no_final_chunk": chunked(b""),
    "half_a_chunk": lambda body: head(CHUNKED_LINE) + chunks(body)[: -len(body) // 2],
    "chunk_size_text": bad_chunk(b"xyz"),
    "chunk_size_negative": bad_chunk(b"-1"),
    "chunk_size_huge": bad_chunk(b"f" * 64),
    "chunk_size_too_small": bad_chunk(b"10"),
    "trailer_no_colon": chunked(b"0\r\nthis is no trailer\r\n\r\n"),
    "trailer_nul": chunked(b"0\r\nX-Trailer: a\x00b\r\n\r\n"),
    "trailer_endless_line": chunked(b"0\r\nX-Trailer: " + b"x" * HUGE_LINE_BYTES + b"\r\n\r\n"),
    "http_1_0": lambda body: head(first=b"HTTP/1.0 200 OK\r\n") + body,
    "no_length": lambda body: head(b"Connection: close\r\n") + body,
    "garbage": lambda body: b"\x00\xff\x13\x37 what is this\r\n" * 20,
    "no_status_line": lambda body: body,
    "ssh_banner": lambda body: b"SSH-2.0-OpenSSH_9.6\r\n",
    "http_0_9": lambda body: b"<html>Hello from 1991</html>",
    "status_word": odd_first(b"HTTP/1.1 OK OK\r\n"),
    "status_four_digits": odd_first(b"HTTP/1.1 2000 OK\r\n"),
    "version_nine": odd_first(b"HTTP/9.9 200 OK\r\n"),
    "interim_flood": after_interim(b"HTTP/1.1 102 Processing\r\n", 1000),
    "early_hints": after_interim(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n", 3),
    "switching_protocols": after_interim(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n", 1),
    "huge_line": odd_lines(b"X-Huge: " + b"x" * HUGE_LINE_BYTES + b"\r\n"),
    "many_lines": many_lines,
    "nul_header": odd_lines(b"X-Nul: a\x00b\r\n"),
    "bare_cr_header": odd_lines(b"X-Return: a\rInjected: b\r\n"),
    "header_no_colon": odd_lines(b"this line has no colon\r\n"),
    "header_space_name": odd_lines(b"X Space : a\r\n"),
    "header_folded": odd_lines(b"X-Folded: a\r\n b\r\n"),
    "header_not_ascii": odd_lines("X-Umlaut: äöü€\r\n".encode()),
    "two_lengths": lambda body: head(length(body), length(body, more=7)) + body,
    "length_and_chunks": lambda body: head(length(body), CHUNKED_LINE) + chunks(body) + b"0\r\n\r\n",
    "length_negative": lambda body: head(b"Content-Length: -1\r\n") + body,
    "unknown_transfer": lambda body: head(b"Transfer-Encoding: gzip, chunked\r\n") + chunks(body) + b"0\r\n\r\n",
    "http2_goaway": lambda body: SETTINGS + GO_AWAY,
    "http2_rst_stream": lambda body: SETTINGS + RST_STREAM,
    "http2_goaway_in_body": lambda body: head(length(body)) + body[: len(body) // 2] + SETTINGS + GO_AWAY,
}
