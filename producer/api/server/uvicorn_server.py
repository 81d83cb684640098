"""The HTTP server: uvicorn, with limits to how long a client may take, and strict about what is HTTP.

What is refused here never was a request, so the application does not see it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from contract.errors.exceptions import Refused
from producer.api.problem_details import document_of, headers_of
from producer.api.server.acceptor import LINGER_S, Acceptor
from producer.api.server.connection_limits import RETRY_S, ConnectionLimits, Place
from producer.api.server.security_middleware import dressed, new_request_id
from producer.api.server.strict_http import StrictBuffer
from producer.api.server.under_way import token_of
from producer.error_catalogue import BAD_REQUEST, HEADERS_TOO_LARGE, TOO_BUSY

HEADERS_S = 10.0
STALLED_S = 30.0
LEAST_BYTES = 32_768  # that a client takes in that time, or all there is
MAX_HEADER_BYTES = 32_768
DRAIN_S = 10
BACKLOG = 2048  # that wait in the kernel

logger = logging.getLogger(__name__)


class TimeLimitedProtocol(H11Protocol):
    """HTTP/1.1 whose client has a limited time for a head, for the rest of a request that is answered already, and
    to take a piece of the answer.

    A connection that breaks these is cut, as one that is merely closed lives on until its buffer is empty.
    """

    _waiting: asyncio.TimerHandle | None = None
    _stalling: asyncio.TimerHandle | None = None
    _place: Place
    _is_leaving = False

    def __init__(self, *args: Any, limits: ConnectionLimits, place: Place | None = None, **options: Any) -> None:
        """Speak with a client that has a `place` already, or is given one."""
        super().__init__(*args, **options)
        self._limits = limits
        self._given = place
        self._app, self.app = self.app, self._serve
        self.conn._receive_buffer = self._received = StrictBuffer()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._place = self._given or self._limits.enter(self.client[0] if self.client else "", self._give_way)
        self._place.give_way = self._give_way
        self.app_state = {**self.app_state, "vouch": self._vouch, "cut": self._cut}
        transport.set_write_buffer_limits(0)  # writing is paused while the client is behind
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # for clients that have vanished, or that take nothing at all
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1000 * STALLED_S))
        self._wait()

    def _vouch(self, owner: str, *, is_alone: bool) -> None:
        """Count the connection among an owner's, whose token its request has shown. Raises Refused.

        A token that only one owner has is remembered.
        """
        self._limits.vouch(self._place, owner)
        if is_alone and (token := token_of(dict(self.cycle.scope))):
            self._limits.learn(token, owner)

    def _cut(self) -> None:
        """Close the connection in the midst of an answer, so that its client knows that this is not the whole of it."""
        self.cycle.disconnected = True
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop_waiting()
        super().connection_lost(exc)
        self._stop_watching()
        self._limits.lose(self._place)

    def pause_writing(self) -> None:
        """Begin to watch a client that is behind."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """Watch no longer: it has taken everything."""
        self._stop_watching()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Take what has arrived, unless the connection has given way: then it is read and forgotten."""
        if not self._is_leaving:
            super().data_received(data)

    def handle_events(self) -> None:
        """Take what has arrived; a request counts from now on, though it is served in the next turn of the loop."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._limits.begin(self._place, self._limits.owner_of(token_of(dict(self.cycle.scope))))
        self._ask_for_more()

    def on_response_complete(self) -> None:
        """Let the next request begin."""
        super().on_response_complete()
        self._ask_for_more()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, in the form of all our errors."""
        is_long = len(self._received) > MAX_HEADER_BYTES
        self._answer(Refused(HEADERS_TOO_LARGE if is_long else self._received.fault or BAD_REQUEST))
        self.transport.close()

    def _answer(self, error: Refused) -> None:
        """Answer with a problem, unless another answer has begun."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            with suppress(h11.LocalProtocolError):  # it is closed without a word
                self.transport.write(_written(error, self.conn))

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        finally:
            self._limits.end(self._place)

    def _give_way(self) -> None:
        """End a connection whose place is needed; a client that still waits for an answer is told why."""
        is_idle = self.cycle is not None and not self._received and not self._place.requests
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # what its request still says goes nowhere
            self.cycle.message_event.set()
        self._is_leaving = True
        if is_idle or self.transport.is_closing():
            self.transport.abort()
        else:
            self._answer(Refused(TOO_BUSY, retry_after_s=RETRY_S))
            leave = self.transport.abort if self.transport.get_write_buffer_size() else self.transport.close
            if self._limits.may_linger(self._place):
                self.loop.call_later(LINGER_S, leave)
            else:
                leave()

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


def _written(error: Refused, connection: h11.Connection) -> bytes:
    """Write a problem as the whole answer on a connection."""
    request_id = new_request_id()
    body = document_of(error, request_id=request_id)
    form = {"Content-Type": "application/problem+json", "Content-Length": str(len(body)), "Connection": "close"}
    status = error.kind.status
    head = h11.Response(
        status_code=status,
        headers=list((dressed(request_id) | headers_of(error) | form).items()),
        reason=HTTPStatus(status).phrase.encode(),
    )
    said = b"" if connection._request_method == b"HEAD" else body  # h11 takes none for it
    return b"".join(connection.send(event) or b"" for event in (head, h11.Data(data=said), h11.EndOfMessage()))


class _Server(uvicorn.Server):
    """Accepts connections itself, and reports when it starts to stop, so that open requests end soon."""

    def __init__(self, config: uvicorn.Config, limits: ConnectionLimits, on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._limits = limits
        self._on_stop = on_stop
        self._acceptors: list[Acceptor] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        refusal = _written(Refused(TOO_BUSY, retry_after_s=RETRY_S), h11.Connection(h11.SERVER))
        for listener in (listener for server in self.servers for listener in server.sockets):
            same = socket.socket(fileno=os.dup(listener.fileno()))  # asyncio lets nobody else accept from its own
            same.setblocking(False)
            asyncio.get_running_loop().remove_reader(listener.fileno())
            self._acceptors.append(Acceptor(same, self._limits, self._speaker, refusal, quiet_s=HEADERS_S))
            self._acceptors[-1].start()

    def _speaker(self, place: Place) -> asyncio.Protocol:
        make = self.config.http_protocol_class
        state = self.lifespan.state
        return make(config=self.config, server_state=self.server_state, app_state=state, place=place)  # type: ignore[call-arg]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, and end those there are."""
        for acceptor in self._acceptors:
            acceptor.close()
        self._on_stop()
        await super().shutdown(sockets)


def serve(app: ASGIApp, *, limits: ConnectionLimits, on_stop: Callable[[], None], **options: Any) -> None:
    """Run a server until it is stopped; open responses then have some seconds to end."""
    config = uvicorn.Config(
        app,
        http=partial(TimeLimitedProtocol, limits=limits),  # type: ignore[arg-type]
        ws="none",
        loop="asyncio",  # whose listeners `Acceptor` takes over
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        date_header=True,
        backlog=BACKLOG,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=DRAIN_S,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        **options,
    )
    server = _Server(config, limits, on_stop)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # uvicorn sends itself, at its end, what it was sent
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:  # its log says why
        sys.exit(1)
