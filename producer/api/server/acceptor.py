"""Accepting connections: asyncio's transport and the protocol are made when the client says something.

A connection on which nothing is said has a socket, a timer and a place: a small part of the cost. So idle ones are let
in, and give way, as fast as the kernel hands them over, and a client that speaks does not wait behind thousands. Of
those that have spoken some are served in each round of the event loop, and owners take turns: the head is looked at,
without taking it, for a token that was good before.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import re
import socket
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress

from contract.errors.exceptions import Refused
from producer.api.server.connection_limits import ConnectionLimits, Place
from producer.api.server.under_way import bare

ACCEPTED = 128  # in a round of the event loop
SPEAKERS = 2  # likewise
MOST_REFUSED = 16  # that wait to be told so
LOOKED_AT = 4096  # bytes of a head
RETRY_S = 1.0  # when there is no file left
LINGER_S = 0.1  # to close a connection at once, with something unread, would take back what was answered

_NO_FILES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_TOKEN = re.compile(rb"\r\n(?:authorization|api-key):[ \t]*([^\r\n]+)\r\n", re.IGNORECASE)
logger = logging.getLogger(__name__)

MakeProtocol = Callable[[Place], asyncio.Protocol]


class Acceptor:
    """The connections of one listening socket that have said nothing yet."""

    def __init__(
        self,
        listener: socket.socket,
        limits: ConnectionLimits,
        make: MakeProtocol,
        refusal: bytes,
        *,
        quiet_s: float,
    ) -> None:
        """Let `make` speak with clients that say something within `quiet_s`; those that give way hear the `refusal`."""
        self.quiet: set[_QuietConnection] = set()
        self.limits = limits
        self.quiet_s = quiet_s
        self.refusal = refusal
        self._listener = listener
        self._make = make
        self._loop = asyncio.get_running_loop()
        self._beginning: set[asyncio.Task[None]] = set()
        self._leaving: dict[socket.socket, Place] = {}
        self._lines: OrderedDict[str, deque[_QuietConnection]] = OrderedDict()  # by owner, or address

    def start(self) -> None:
        """Accept from now on."""
        self._loop.add_reader(self._listener, self._accept)

    def close(self) -> None:
        """Accept no more, and close what has said nothing."""
        if self._listener.fileno() >= 0:
            self._loop.remove_reader(self._listener)
            self._listener.close()
        for quiet in [*self.quiet]:
            quiet.close()
        for connection in [*self._leaving]:
            self._close(connection)

    def close_later(self, connection: socket.socket, place: Place) -> None:
        """Close a connection when its client has had time to read what was said last."""
        self._leaving[connection] = place
        self._loop.call_later(LINGER_S, self._close, connection)

    def _close(self, connection: socket.socket) -> None:
        if place := self._leaving.pop(connection, None):
            self.limits.lose(place)
            connection.close()

    def queue(self, line: str, quiet: _QuietConnection) -> None:
        """Let a client that has spoken wait for its turn among those of its line."""
        if not self._lines:
            self._loop.call_soon(self._admit)
        self._lines.setdefault(line, deque()).append(quiet)

    def in_line(self, line: str) -> int:
        """Count those that wait for their turns in a line."""
        return len(self._lines.get(line, ()))

    def _admit(self) -> None:
        admitted = 0
        for _ in range(ACCEPTED):  # those that have given way meanwhile are passed by
            if not self._lines or admitted == SPEAKERS:
                break
            line, waiting = self._lines.popitem(last=False)
            admitted += waiting.popleft().admit()
            if waiting:
                self._lines[line] = waiting  # behind the others
        if self._lines:
            self._loop.call_soon(self._admit)

    def begin(self, connection: socket.socket, place: Place) -> None:
        """Speak with a client."""
        task = self._loop.create_task(self._speak(connection, place))
        self._beginning.add(task)
        task.add_done_callback(self._beginning.discard)

    async def _speak(self, connection: socket.socket, place: Place) -> None:
        if self._listener.fileno() < 0:  # it was closed meanwhile
            self.limits.lose(place)
            connection.close()
            return
        try:
            await self._loop.connect_accepted_socket(lambda: self._make(place), connection)
        except OSError:  # it has gone meanwhile
            self.limits.lose(place)
            connection.close()

    def _accept(self) -> None:
        for _ in range(ACCEPTED):
            try:
                connection, address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _NO_FILES:
                    raise
                logger.warning("no connection can be accepted for a moment: %s", error.strerror)
                self._loop.remove_reader(self._listener)
                self._loop.call_later(RETRY_S, self._accept_again)
                return
            connection.setblocking(False)
            _QuietConnection(self, connection, peer=address[0] if address else "")

    def _accept_again(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener, self._accept)


class _QuietConnection:
    """A connection on which nothing has been said."""

    __slots__ = ("_acceptor", "_connection", "_loop", "_place", "_timer")

    def __init__(self, acceptor: Acceptor, connection: socket.socket, *, peer: str) -> None:
        self._acceptor, self._connection = acceptor, connection
        self._loop = asyncio.get_running_loop()
        self._place = acceptor.limits.enter(peer, self._give_way)
        self._timer = self._loop.call_later(acceptor.quiet_s, self.close)
        acceptor.quiet.add(self)
        if not self._begin():
            self._loop.add_reader(connection, self._begin)

    def close(self) -> None:
        """Close it without a word."""
        self._stop()
        self._acceptor.limits.lose(self._place)
        self._connection.close()

    def _stop(self) -> None:
        self._timer.cancel()
        self._loop.remove_reader(self._connection)
        self._acceptor.quiet.discard(self)

    def _begin(self) -> bool:
        """Tell whether the client has spoken, or has gone, and let it wait for its turn then."""
        said = _said(self._connection)
        if said is None:
            return False
        self._loop.remove_reader(self._connection)
        limits = self._acceptor.limits
        owner = limits.owner_of(_token_in(said))
        try:
            if owner:
                limits.vouch(self._place, owner)
        except Refused:  # its request is refused in the form that it expects, if there are not too many of them
            if self._acceptor.in_line(str(owner)) >= MOST_REFUSED:
                limits.lose(self._place)
                self._give_way()
                return True
        self._acceptor.queue(owner or f"\n{self._place.peer}", self)
        return True

    def admit(self) -> bool:
        """Let the client speak, unless it has given way meanwhile."""
        if self not in self._acceptor.quiet:
            return False
        self._stop()
        self._place.give_way = self._end  # until the protocol has it
        self._acceptor.begin(self._connection, self._place)
        return True

    def _end(self) -> None:
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def _give_way(self) -> None:
        """Tell a client that its place is needed; what it is saying at this moment is not read."""
        self._stop()
        with suppress(OSError):
            self._connection.send(self._acceptor.refusal)
            self._connection.shutdown(socket.SHUT_WR)
        limits = self._acceptor.limits
        if _said(self._connection) and limits.may_linger(self._place):
            self._acceptor.close_later(self._connection, self._place)
        else:
            limits.lose(self._place)
            self._connection.close()


def _token_in(said: bytes) -> bytes:
    found = _TOKEN.search(said)
    return bare(found[1]) if found else b""


def _said(connection: socket.socket) -> bytes | None:
    """Look at what a client has said, without taking it; None while it says nothing."""
    try:
        return connection.recv(LOOKED_AT, socket.MSG_PEEK)
    except (BlockingIOError, InterruptedError):
        return None
    except OSError:
        return b""
