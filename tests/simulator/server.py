"""Listens on loopback, reads request after request from each connection, and lets the routes answer them."""

import asyncio
import ipaddress
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self

from simulator.connection import MAX_HEAD_BYTES, Connection, Unreadable
from simulator.ledger import Call, Visit
from simulator.reply import Reply
from simulator.routes import answer
from simulator.stage import Stage


class Simulator:
    """Serves the providers' wire formats on one loopback port until it is closed."""

    def __init__(self, *, seconds: float = 3.0, host: str = "127.0.0.1", port: int = 0) -> None:
        if not is_loopback(host):
            raise ValueError(f"{host} is not a loopback address")
        self._host = host
        self.port = port
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.Task[None], Connection] = {}
        self._stage = Stage(seconds=seconds)

    @property
    def url(self) -> str:
        """Return the address without a trailing slash."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    @property
    def ledger(self) -> list[Call]:
        """Return the generation calls so far, oldest first."""
        return self._stage.ledger.calls

    @property
    def visits(self) -> list[Visit]:
        """Return the polls and downloads so far, oldest first."""
        return self._stage.ledger.visits

    def script(
        self,
        steps: Iterable[Mapping[str, object]],
        *,
        match: str = "",
        model: str = "",
        seconds: float | None = None,
    ) -> None:
        """Queue steps for calls whose prompt and model contain a text; `seconds` is the usual latency."""
        self._stage.direct(steps, match=match, model=model, seconds=seconds)

    async def reset(self) -> None:
        """Forget scripts, records, files and tasks; calls under way go on."""
        await self._stage.clear()

    async def start(self) -> None:
        """Start to listen."""
        self._server = await asyncio.start_server(self._accept, self._host, self.port, limit=MAX_HEAD_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]
        self._stage.base_url = self.url

    async def close(self) -> None:
        """Stop listening and drop all connections."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        clients = dict(self._clients)
        for task, connection in clients.items():
            connection.abort()
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        await self._stage.polls.clear()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        task = asyncio.create_task(self._serve(connection))
        self._clients[task] = connection
        task.add_done_callback(lambda done: self._clients.pop(done))

    async def _serve(self, connection: Connection) -> None:
        try:
            while not connection.closed and (request := await connection.read_request()):
                reply = Reply(connection)
                await answer(self._stage, request, reply)
                if reply.gone.is_set() or not request.keep_alive:
                    break
        except Unreadable as error:
            await Reply(connection).whole(error.status, b"", {"Content-Length": "0", "Connection": "close"})
        finally:
            await connection.close()


def is_loopback(host: str) -> bool:
    """Say whether the host is this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
