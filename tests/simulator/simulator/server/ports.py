"""Opens further ports whose faults come before any request can be read: the name of a port says which."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress

FILLERS = 8
TLS_ALERT = b"\x15\x03\x03\x00\x02\x02\x28"  # fatal: handshake failure
PLAIN_ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n"
    b"<html><h1>The plain HTTP request was sent to HTTPS port</h1></html>"
)
BANNER = b"SSH-2.0-OpenSSH_9.6\r\n"

Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Ports:
    """Keeps the extra ports; each is opened when it is first asked for."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._ports: dict[str, int] = {}
        self._sockets: list[socket.socket] = []
        self._servers: list[asyncio.Server] = []
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def open(self, name: str) -> int:
        """Return the port with that fault, or raise ValueError."""
        if name not in PORT_NAMES:
            raise ValueError(f"unknown port {name!r}; known are {', '.join(PORT_NAMES)}")
        if name not in self._ports:
            self._ports[name] = await self._listen(name)
        return self._ports[name]

    async def _listen(self, name: str) -> int:
        if name == "refused":
            return self._bind().getsockname()[1]  # type: ignore[no-any-return]
        if name == "never_accepts":
            return await self._fill()
        server = await asyncio.start_server(lambda *client: self._accept(name, client), self._host, 0)
        self._servers.append(server)
        return server.sockets[0].getsockname()[1]  # type: ignore[no-any-return]

    def _bind(self) -> socket.socket:
        sock = socket.socket(self._family, socket.SOCK_STREAM)
        sock.bind((self._host, 0))
        self._sockets.append(sock)
        return sock

    async def _fill(self) -> int:
        """Listen without accepting and fill the backlog, so that the kernel drops what comes then."""
        listener = self._bind()
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(FILLERS):
            filler = socket.socket(self._family, socket.SOCK_STREAM)
            filler.setblocking(False)
            self._sockets.append(filler)
            with suppress(BlockingIOError):
                filler.connect(address)
        await asyncio.sleep(0)
        return int(address[1])

    def _accept(self, name: str, client: Client) -> None:
        task = asyncio.create_task(self._serve(name, client))
        self._clients[task] = client[1]
        task.add_done_callback(lambda done: self._clients.pop(done))

    async def _serve(self, name: str, client: Client) -> None:
        with suppress(ConnectionError):
            await FAULTS[name](*client)
        client[1].close()
        with suppress(ConnectionError):
            await client[1].wait_closed()

    async def close(self) -> None:
        """Close all ports and what is connected to them."""
        for server in self._servers:
            server.close()
        for sock in self._sockets:
            sock.close()
        clients = dict(self._clients)
        for task, writer in clients.items():
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)


async def _close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(65536):
        pass


def _say(text: bytes, *, after_bytes: int) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if after_bytes and not await reader.read(after_bytes):
            return
        writer.write(text)
        await writer.drain()
        writer.write_eof()
        # Closing with bytes unread would reset the connection, and destroy what was said: so linger.
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while await reader.read(65536):
                    pass

    return say


FAULTS: dict[str, Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]] = {
    "accept_and_close": _close,
    "accept_and_reset": _reset,
    "never_handshakes": _stay_silent,
    "tls_alert": _say(TLS_ALERT, after_bytes=65536),
    "plain_http": _say(PLAIN_ANSWER, after_bytes=65536),
    "banner": _say(BANNER, after_bytes=0),
}
LINGER_S = 1.0
PORT_NAMES = ("refused", "never_accepts", *FAULTS)
