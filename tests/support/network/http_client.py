"""A very small HTTP client: one kept connection, one request at a time, at a tenth of httpx's cost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LAST_CHUNK = b"\r\n0\r\n\r\n"  # of a stream that has come to its end
IDLE_S = 4.0  # the gateway hangs up after 5 s


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]  # by names in lower case
    body: bytes

    def json(self) -> Any:
        """Read the body."""
        return json.loads(self.body)


class Connection:
    """A connection to a gateway on loopback, opened when it is first needed, and anew when it has gone."""

    def __init__(self, port: int, token: str = "") -> None:
        self.port, self.token = port, token
        self._head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._used_at = 0.0
        self._others: list[Connection] = []

    async def ask(
        self, method: str, target: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request and read its whole answer. Raises OSError, EOFError."""
        try:
            answer = await self._ask(method, target, body, headers or {})
        except BaseException:
            self.close()  # whatever comes now belongs to nobody
            raise
        if answer.headers.get("connection") == "close":
            self.close()
        self._used_at = asyncio.get_running_loop().time()
        return answer

    async def follow(self, target: str, headers: Mapping[str, str] | None = None) -> asyncio.StreamReader:
        """Send a GET whose answer is a stream; answer where it comes from, after a head that says 200."""
        reader, writer = await self._open()
        writer.write(self._request("GET", target, None, headers or {}))
        status, _ = _parse(await reader.readuntil(b"\r\n\r\n"))
        assert status == 200, status
        return reader

    async def send(self, method: str, target: str, headers: Mapping[str, str] | None = None, *, times: int = 1) -> int:
        """Send requests and read nothing; answer the port that they came from."""
        _, writer = await self._open()
        assert isinstance(writer.transport, asyncio.ReadTransport)
        writer.transport.pause_reading()
        writer.write(times * self._request(method, target, None, headers or {}))
        return int(writer.get_extra_info("sockname")[1])

    def another(self) -> Connection:
        """Make one more connection of the same caller."""
        self._others.append(Connection(self.port, self.token))
        return self._others[-1]

    def close_all(self) -> None:
        """Hang up, also where one more connection was made of this one."""
        for other in self._others:
            other.close_all()
        self.close()

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def _ask(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        reader, writer = await self._open()
        writer.write(self._request(method, target, body, headers))
        status, found = _parse(await reader.readuntil(b"\r\n\r\n"))
        if found.get("transfer-encoding") == "chunked":
            content = await _chunks(reader)
        elif method == "HEAD" or status in (204, 304):
            content = b""
        else:
            content = await reader.readexactly(int(found["content-length"]))
        return Answer(status, found, content)

    def _request(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]) -> bytes:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        if body is not None and not any(name.lower() == "content-length" for name in headers):
            lines += f"Content-Length: {len(body)}\r\n"
        return f"{method} {target} HTTP/1.1\r\n{self._head}{lines}\r\n".encode() + (body or b"")

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams and asyncio.get_running_loop().time() - self._used_at > IDLE_S:
            self.close()
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port, limit=2**20)
            self._used_at = asyncio.get_running_loop().time()
        return self._streams


def _parse(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    return int(first.split(" ")[1]), {name.lower(): value.strip() for name, _, value in pairs}


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    content = bytearray()
    while size := int(await reader.readline(), 16):
        content += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return bytes(content)
