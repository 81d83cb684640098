"""The HTTP server: uvicorn, with a limit to how long a client may take, and strict about what is HTTP.

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

from contract.errors import Refused
from producer.api.framing import StrictBuffer
from producer.api.guard import dressed, new_request_id
from producer.api.problem import document_of

HEADERS_S = 20.0
SEND_S = 30.0  # to take what is in the buffers
MAX_HEADER_BYTES = 32_768
MAX_CONNECTIONS = 4_000
DRAIN_S = 10

logger = logging.getLogger(__name__)


class PatientProtocol(H11Protocol):
    """HTTP/1.1 whose client has a limited time for a head, and for the rest of a request that is answered already."""

    _waiting: asyncio.TimerHandle | None = None
    _sending: asyncio.TimerHandle | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.conn._receive_buffer = self._received = StrictBuffer()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop_waiting()
        self._stop_sending()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Send no more for the moment; a client that does not read is left after a while."""
        super().pause_writing()
        self._sending = self.loop.call_later(SEND_S, self._leave)

    def resume_writing(self) -> None:
        """Send again."""
        super().resume_writing()
        self._stop_sending()

    def handle_events(self) -> None:
        """Take what has arrived."""
        super().handle_events()
        self._watch()

    def on_response_complete(self) -> None:
        """Let the next request begin."""
        super().on_response_complete()
        self._watch()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, in the form of all our errors."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            is_long = len(self._received) > MAX_HEADER_BYTES
            error = Refused("headers_too_large" if is_long else self._received.code or "bad_request")
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

    def _watch(self) -> None:
        """Wait for what the client owes and nobody else waits for: the rest of a head, or of an ignored body."""
        theirs = self.conn.their_state
        is_owed = self.cycle.response_complete if theirs is h11.SEND_BODY else len(self._received) > 0
        if is_owed and theirs in (h11.IDLE, h11.SEND_BODY):
            self._wait()
        else:
            self._stop_waiting()

    def _wait(self) -> None:
        if self._waiting is None:
            self._waiting = self.loop.call_later(HEADERS_S, self._hang_up)

    def _stop_sending(self) -> None:
        if self._sending is not None:
            self._sending.cancel()

    def _leave(self) -> None:
        logger.info("left a client that does not read")
        self.transport.abort()  # closing would wait for what is still to be sent

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
