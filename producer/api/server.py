"""The HTTP server: uvicorn, with a limit to how long a client may take to say what it wants."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS_S = 20.0
MAX_HEADER_BYTES = 32_768
MAX_CONNECTIONS = 4_000
DRAIN_S = 10


class PatientProtocol(H11Protocol):
    """HTTP/1.1 whose client has a limited time to send the head of its first request."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._waiting = self.loop.call_later(HEADERS_S, self._hang_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop_waiting()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Take what has arrived; once there is a whole head, the rest has limits of its own."""
        super().handle_events()
        if self.scope is not None:
            self._stop_waiting()

    def _hang_up(self) -> None:
        self.transport.close()

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


class _Server(uvicorn.Server):
    """Tells when it begins to stop, so that nobody is waited for longer than must be."""

    def __init__(self, config: uvicorn.Config, on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_stop = on_stop

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, and end those there are."""
        self._on_stop()
        await super().shutdown(sockets)


def serve(app: ASGIApp, *, on_stop: Callable[[], None], **options: Any) -> None:
    """Run a server until it is told to stop; open answers then have some seconds to end."""
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="none",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        date_header=True,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=DRAIN_S,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        **options,
    )
    server = _Server(config, on_stop)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # uvicorn sends itself, at its end, what it was sent
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:  # its log says why
        sys.exit(1)
