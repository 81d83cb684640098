"""Listens on loopback, reads request after request from each connection, and lets the routes answer them."""

import asyncio
import ipaddress
import ssl
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Self

from simulator.catalogue.script import Step
from simulator.providers.ledger import Call, Visit
from simulator.providers.order import Order
from simulator.server.connection import MAX_HEAD_BYTES, Connection, Unreadable
from simulator.server.reply import Ending, Reply
from simulator.server.routes import answer, answer_early
from simulator.server.stage import Stage

HANDSHAKE_S = 5.0
GOODBYE_S = 0.5


class Simulator:
    """Serves the providers' wire formats on one loopback port, and on a second one with TLS, until it is closed.

    `errors` holds what its own code raised; a test should find it empty. `public_tls_url` is where its links
    lead when the port with TLS is known by another name and number outside. With a `side` its pictures are squares
    of so many pixels, whatever is ordered, as large ones take their time; a step's own `side` comes first, 0 being
    what is ordered.
    """

    def __init__(
        self,
        *,
        seconds: float = 3.0,
        side: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        public_tls_url: str = "",
    ) -> None:
        if not is_loopback(host):
            raise ValueError(f"{host} is not a loopback address")
        self._host = host
        self._tls = tls
        self._public_tls_url = public_tls_url
        self.port = port
        self.tls_port = 0
        self._servers: list[asyncio.Server] = []
        self._clients: dict[asyncio.Task[None], Connection] = {}
        self._stage = Stage(seconds=seconds, host=host, side=side)
        self.errors: list[BaseException] = []

    @property
    def url(self) -> str:
        """Return the address without a trailing slash."""
        return f"http://{self._name}:{self.port}"

    @property
    def tls_url(self) -> str:
        """Return the address with TLS, or an empty text."""
        return f"https://{self._name}:{self.tls_port}" if self._tls else ""

    @property
    def _name(self) -> str:
        return f"[{self._host}]" if ":" in self._host else self._host

    @property
    def ledger(self) -> list[Call]:
        """Return the generation calls so far, oldest first."""
        return self._stage.ledger.calls

    @property
    def visits(self) -> list[Visit]:
        """Return the polls, downloads and redirects followed so far, oldest first."""
        return self._stage.ledger.visits

    @property
    def connections(self) -> int:
        """Return how many connections were accepted, on the two usual ports."""
        return self._stage.ledger.connections

    @property
    def max_parallel(self) -> int:
        """Return how many generation calls were under way at the same time, at most."""
        return self._stage.ledger.max_parallel

    def script(
        self,
        steps: str | Iterable[Mapping[str, object]],
        *,
        match: str = "",
        model: str = "",
        seconds: float | None = None,
    ) -> None:
        """Queue steps for calls whose prompt and model contain a text; `seconds` is the usual latency."""
        self._stage.direct(steps, match=match, model=model, seconds=seconds)

    async def ended_call(self) -> Call:
        """Wait until the record of the first call is complete."""
        while not self.ledger or self.ledger[0].seconds is None:
            await asyncio.sleep(0.01)
        return self.ledger[0]

    def improvise(self, choose: Callable[[Order], Step]) -> None:
        """Let a function choose what happens to calls that nobody spoke about, by their order."""
        self._stage.improvise(choose)

    def draw_as_asked(self) -> None:
        """Draw pictures of the sizes that calls ask for, from now on."""
        self._stage.studio.side = 0

    def die(self, seconds: float) -> None:
        """Accept and reset every new connection for a while, whatever it would ask for."""
        self._stage.moods.die(seconds)

    async def port_of(self, name: str) -> int:
        """Open, or return, a port with a fault that comes before any call; `catalogue.table.PORTS` names them."""
        return await self._stage.ports.open(name)

    async def reset(self) -> None:
        """Forget scripts, records, files and tasks; calls under way go on."""
        await self._stage.clear()

    async def start(self) -> None:
        """Start to listen."""
        self.port = await self._listen(self.port, None)
        self._stage.url = self.url
        if self._tls:
            self.tls_port = await self._listen(0, self._tls)
            self._stage.tls_url = self._public_tls_url or self.tls_url

    async def _listen(self, port: int, tls: ssl.SSLContext | None) -> int:
        patience = {"ssl_handshake_timeout": HANDSHAKE_S, "ssl_shutdown_timeout": GOODBYE_S} if tls else {}
        server = await asyncio.start_server(self._accept, self._host, port, limit=MAX_HEAD_BYTES, ssl=tls, **patience)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening and drop all connections."""
        for server in self._servers:
            server.close()
        clients = dict(self._clients)
        for task, connection in clients.items():
            connection.abort()
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()
        await self._stage.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        self._stage.ledger.connections += 1
        if self._stage.moods.is_dead:
            connection.reset()
            return
        task = asyncio.create_task(self._serve(connection))
        self._clients[task] = connection
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        del self._clients[task]
        if not task.cancelled() and (error := task.exception()):
            self.errors.append(error)
            message = "the simulator itself failed"
            asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error, "task": task})

    async def _serve(self, connection: Connection) -> None:
        try:
            while not connection.closed and (head := await connection.read_head()):
                reply = Reply(connection)
                if await answer_early(self._stage, head, reply):
                    break
                request = await connection.read_rest(head)
                if request is None:
                    break
                await answer(self._stage, request, reply)
                if reply.ending is Ending.ON_REUSE:
                    await connection.close_on_next_byte()
                if reply.gone.is_set() or reply.ending or not request.keep_alive:
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
