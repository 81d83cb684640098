"""A host of pictures for one test: TLS on a loopback port, and an answer for each path."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping

from tests.support.network.loopback import LoopbackServer


def reply(status: int, body: bytes = b"", /, **headers: str) -> bytes:
    """Write an answer; underscores in names of headers stand for dashes."""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Cdn(LoopbackServer):
    """Answers what the table says for a path, and 404 for others; notes what it was asked."""

    def __init__(self, context: ssl.SSLContext, answers: Mapping[str, bytes]) -> None:
        super().__init__(tls=context)
        context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        self._answers = answers
        self.names: list[str | None] = []  # of TLS handshakes
        self.asked: list[str] = []  # heads of requests, in lower case

    def paths(self) -> list[str]:
        """List the paths that were asked for, oldest first."""
        return [head.split()[1] for head in self.asked]

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer requests until the client goes."""
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.asked.append(head.lower())
            writer.write(self._answers.get(head.split()[1], reply(404)))
            await writer.drain()
