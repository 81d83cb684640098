"""The HTTP server: uvicorn, with limits to how long a client may take, and strict about what is HTTP.

What is refused here never was a request, so the application does not see it.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from contract.errors.exceptions import Refused
from producer.api.problem_details import document_of
from producer.api.server.security_middleware import dressed, new_request_id
from producer.api.server.strict_http import StrictBuffer
from producer.error_catalogue import BAD_REQUEST, HEADERS_TOO_LARGE

HEADERS_S = 20.0
STALLED_S = 30.0
LEAST_BYTES = 32_768  # that a client takes in that time, or all there is
MAX_HEADER_BYTES = 32_768
MAX_CONNECTIONS = 4_000
DRAIN_S = 10

logger = logging.getLogger(__name__)


class TimeLimitedProtocol(H11Protocol):
    """HTTP/1.1 whose client has a limited time for a head, for the rest of a request that is answered already, and
    to take a piece of the answer.

    A connection that breaks these is cut, as one that is merely closed lives on until its buffer is empty.
    """

    _waiting: asyncio.TimerHandle | None = None
    _stalling: asyncio.TimerHandle | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.conn._receive_buffer = self._received = StrictBuffer()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # writing is paused while the client is behind
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # for clients that have vanished, or that take nothing at all
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1000 * STALLED_S))
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop_waiting()
        super().connection_lost(exc)
        self._stop_watching()

    def pause_writing(self) -> None:
        """Begin to watch a client that is behind."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """Watch no longer: it has taken everything."""
        self._stop_watching()
        super().resume_writing()

    def handle_events(self) -> None:
        """Take what has arrived."""
        super().handle_events()
        self._ask_for_more()

    def on_response_complete(self) -> None:
        """Let the next request begin."""
        super().on_response_complete()
        self._ask_for_more()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, in the form of all our errors."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            is_long = len(self._received) > MAX_HEADER_BYTES
            error = Refused(HEADERS_TOO_LARGE if is_long else self._received.fault or BAD_REQUEST)
            request_id = new_request_id()
            body = document_of(error, request_id=request_id)
            headers = dressed(request_id) | {
                "Content-Type": "application/problem+json",
                "Content-Length": str(len(body)),
                "Connection": "close",
            }
            head = h11.Response(
                status_code=error.kind.status,
                headers=list(headers.items()),
                reason=HTTPStatus(error.kind.status).phrase.encode(),
            )
            for event in (head, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _ask_for_more(self) -> None:
        """Wait for the rest of a head or of an ignored body, for which nothing else waits."""
        theirs = self.conn.their_state
        is_owed = self.cycle.response_complete if theirs is h11.SEND_BODY else len(self._received) > 0
        if is_owed and theirs in (h11.IDLE, h11.SEND_BODY):
            self._wait()
        else:
            self._stop_waiting()

    def _wait(self) -> None:
        if self._waiting is None:
            self._waiting = self.loop.call_later(HEADERS_S, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _watch(self) -> None:
        self._stop_watching()
        self._stalling = self.loop.call_later(STALLED_S, self._judge, self.transport.get_write_buffer_size())

    def _judge(self, left: int) -> None:
        if self.transport.get_write_buffer_size() > left - LEAST_BYTES:
            logger.info("left a client that does not read")
            self.transport.abort()
        else:
            self._watch()

    def _stop_watching(self) -> None:
        if self._stalling is not None:
            self._stalling.cancel()
            self._stalling = None


class _Server(uvicorn.Server):
    """Reports when it starts to stop, so that open requests end soon."""

    def __init__(self, config: uvicorn.Config, on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_stop = on_stop

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, and end those there are."""
        self._on_stop()
        await super().shutdown(sockets)


def serve(app: ASGIApp, *, on_stop: Callable[[], None], **options: Any) -> None:
    """Run a server until it is stopped; open responses then have some seconds to end."""
    config = uvicorn.Config(
        app,
        http=TimeLimitedProtocol,
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
