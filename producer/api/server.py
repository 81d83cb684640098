"""The HTTP server: uvicorn, with limits to how long a client may take to say what it wants and to take what it gets."""

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
STALLED_S = 30.0
LEAST_BYTES = 32_768  # that a client takes in that time, or all there is
MAX_HEADER_BYTES = 32_768
MAX_CONNECTIONS = 4_000
DRAIN_S = 10


class PatientProtocol(H11Protocol):
    """HTTP/1.1 whose client has a limited time to send the head of a request, and to take a piece of the answer.

    A connection that breaks these is cut, as one that is merely closed lives on until its buffer is empty.
    """

    _waiting: asyncio.TimerHandle | None = None
    _stalling: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # writing is paused while the client is behind
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # for clients that have vanished, or that take nothing at all
            transport.get_extra_info("socket").setsockopt(
                socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1000 * STALLED_S)
            )
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        _stop(self._waiting)
        super().connection_lost(exc)
        _stop(self._stalling)

    def handle_events(self) -> None:
        """Take what has arrived; once there is a whole head, the rest has limits of its own."""
        super().handle_events()
        if self._is_busy():
            _stop(self._waiting)

    def on_response_complete(self) -> None:
        """Wait for the next request, unless it has come already."""
        super().on_response_complete()
        if not self._is_busy() and not self.transport.is_closing():
            self._wait()

    def pause_writing(self) -> None:
        """Begin to watch a client that is behind."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """Watch no longer: it has taken everything."""
        _stop(self._stalling)
        super().resume_writing()

    def _is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        _stop(self._waiting)
        self._waiting = self.loop.call_later(HEADERS_S, self.transport.abort)

    def _watch(self) -> None:
        _stop(self._stalling)
        self._stalling = self.loop.call_later(STALLED_S, self._judge, self.transport.get_write_buffer_size())

    def _judge(self, left: int) -> None:
        if self.transport.get_write_buffer_size() > left - LEAST_BYTES:
            self.transport.abort()
        else:
            self._watch()


def _stop(timer: asyncio.TimerHandle | None) -> None:
    """Stop a timer, if there is one."""
    if timer is not None:
        timer.cancel()


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
