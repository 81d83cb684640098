"""Reads HTTP/1.1 requests from a raw socket, and notices when the peer hangs up.

The framing is our own and small, because a simulator must also be able to break it.
"""

import asyncio
import json
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, replace

JsonObject = dict[str, object]

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 96 * 1024 * 1024
PEEK_BYTES = 16 * 1024
BUFFER_BYTES = 4096


class Unreadable(Exception):
    """Raised when a request cannot be framed; the connection is useless afterwards."""

    def __init__(self, status: int) -> None:
        super().__init__(f"unreadable request: {status}")
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Request:
    """Holds one request; header names are in lower case. `body` may be only the beginning while it is being read."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    keep_alive: bool
    query: str = ""

    @property
    def bearer(self) -> str:
        """Return the bearer token, or an empty string."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    def json(self) -> JsonObject | None:
        """Return the body as a JSON object, or None if it is anything else."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return value if isinstance(value, dict) else None


class Connection:
    """Wraps one accepted socket for its whole life."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._early = b""
        self.closed = False

    async def read_head(self) -> Request | None:
        """Read the next request's head and the beginning of its body, or None when the peer has no more of them."""
        try:
            head = self._early + await self._reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        except asyncio.LimitOverrunError:
            raise Unreadable(431) from None
        self._early = b""
        method, target, version, headers = _parse_head(head)
        path, _, query = target.partition("?")
        wish = headers.get("connection", "").lower()
        keep_alive = wish != "close" if version == "HTTP/1.1" else wish == "keep-alive"
        length = _length(headers)
        waits = headers.get("expect", "").lower() == "100-continue"
        body = b"" if waits else await self._read_exactly(min(length, PEEK_BYTES))
        if body is None:
            return None
        return Request(method=method, path=path, query=query, headers=headers, body=body, keep_alive=keep_alive)

    async def read_rest(self, request: Request) -> Request | None:
        """Read what is missing of the body, or return None when the peer has gone."""
        if request.headers.get("expect", "").lower() == "100-continue":
            await self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        rest = await self._read_exactly(_length(request.headers) - len(request.body))
        return None if rest is None else replace(request, body=request.body + rest)

    async def _read_exactly(self, count: int) -> bytes | None:
        try:
            return await self._reader.readexactly(count)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def discard(self, count: int) -> bool:
        """Read and forget up to that many bytes; return False at the end."""
        try:
            return bool(await self._reader.read(count))
        except ConnectionError:
            return False

    def stop_reading(self) -> None:
        """Leave what comes in the kernel, which soon stops the peer."""
        self.shrink_buffer()
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]

    def shrink_buffer(self) -> None:
        """Make the kernel's receive buffer small."""
        sock = self._writer.get_extra_info("socket")
        with suppress(OSError):
            if sock is not None:  # the peer may have gone before
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)

    async def close_on_next_byte(self) -> None:
        """Wait for the next request's first byte and close, so that a pooled connection turns out to be stale."""
        await self.peer_hung_up()
        await self.close()

    async def peer_hung_up(self) -> bool:
        """Return True once the peer has gone, or False if it sends its next request already."""
        with suppress(ConnectionError):
            self._early = await self._reader.read(1)
        return not self._early and not self.closed

    async def write(self, data: bytes) -> bool:
        """Write the bytes and say whether the peer was still there to take them."""
        if self.closed:
            return False
        try:
            self._writer.write(data)
            await self._writer.drain()
        except ConnectionError:
            return False
        return True

    def reset(self) -> None:
        """Drop the connection with a TCP RST."""
        sock = self._writer.get_extra_info("socket")
        with suppress(OSError):
            if sock is not None:  # the peer may have gone before
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.abort()

    def abort(self) -> None:
        """Drop the connection and whatever was still to be sent."""
        self.closed = True
        self._writer.transport.abort()

    async def close(self) -> None:
        """Flush and close the connection."""
        self.closed = True
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()


def _length(headers: dict[str, str]) -> int:
    if "transfer-encoding" in headers:
        raise Unreadable(411)
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise Unreadable(400)
    if len(length) > 12 or int(length) > MAX_BODY_BYTES:
        raise Unreadable(413)
    return int(length)


def _parse_head(head: bytes) -> tuple[str, str, str, dict[str, str]]:
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or words[2] not in {"HTTP/1.0", "HTTP/1.1"}:
        raise Unreadable(400)
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise Unreadable(400)
        key = name.lower()
        headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
    return words[0], words[1], words[2], headers
