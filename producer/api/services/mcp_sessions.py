"""The MCP sessions of this gateway: each belongs to the owner who opened it, and memory for them is bounded.

The SDK serves them and ends those that were not used for a while. Here stands whose they are, how many one owner
may have, and that they end when the gateway stops, so that no open stream holds it up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field

from mcp.server.lowlevel import Server
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from producer.api.requests import MAX_JSON

IDLE_S = 1800.0  # a client whose session has ended opens another one
MOST_OF_OWNER = 16
MOST = 1000  # 35 KB each
PARTING_S = 3.0  # in which calls are answered when the gateway stops


@dataclass(slots=True, eq=False)
class Session:
    """One client's session."""

    id: str
    owner: str
    busy: int = 0  # requests under way, an open stream included
    used_at: float = field(default_factory=time.monotonic)

    @property
    def is_coming(self) -> bool:
        """Tell whether the SDK has not named it yet."""
        return self.id.startswith(" ")

    @property
    def is_over(self) -> bool:
        """Tell whether it has been idle for so long that it has ended."""
        return not self.busy and time.monotonic() - self.used_at > IDLE_S


class Sessions:
    """All sessions of one process."""

    def __init__(
        self, server: Server[dict[str, object]], closing: asyncio.Event, *, most_of_owner: int = MOST_OF_OWNER
    ) -> None:
        self._manager = StreamableHTTPSessionManager(
            server, session_idle_timeout=IDLE_S, max_sessions=MOST, max_request_body_size=MAX_JSON
        )
        self._closing = closing
        self._most_of_owner = most_of_owner
        self._known: dict[str, Session] = {}
        self._calls = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Serve sessions until the gateway stops, or to the end of this."""
        ready = asyncio.Event()
        serving = asyncio.create_task(self._serve(ready))
        await asyncio.wait({serving, asyncio.ensure_future(ready.wait())}, return_when=asyncio.FIRST_COMPLETED)
        try:
            yield
        finally:
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving

    async def _serve(self, ready: asyncio.Event) -> None:
        async with self._manager.run():
            ready.set()
            await self._closing.wait()
            with suppress(TimeoutError):  # a call that waits for a job is ended with an error
                async with asyncio.timeout(PARTING_S):
                    await self._quiet.wait()

    def find(self, session_id: str, owner: str) -> Session | None:
        """Find a session of an owner; those of others are as if they were not there."""
        session = self._known.get(session_id)
        if session is None or session.owner != owner or session.is_over:
            return None
        return session

    async def begin(self, owner: str, scope: Scope, receive: Receive, send: Send) -> bool:
        """Let the SDK answer a request that opens a session, if its owner may have one more; tell if so."""
        coming = Session(" ", owner)  # counted from now on, under a name that no header has
        coming.id = placeholder = f" {id(coming)}"
        self._known[placeholder] = coming
        try:
            with self._busy(coming):
                if not await self._make_room(owner):
                    return False
                await self.handle(coming, scope, receive, send)
            return True
        finally:
            self._known.pop(placeholder, None)

    async def _make_room(self, owner: str) -> bool:
        """End the session of an owner that was idle for the longest, if there is one too many."""
        self._known = {name: session for name, session in self._known.items() if not session.is_over}
        own = [session for session in self._known.values() if session.owner == owner]
        if len(own) <= self._most_of_owner:
            return True
        idle = [session for session in own if not session.busy]
        if idle:
            await self._end(min(idle, key=lambda session: session.used_at))
        return bool(idle)

    async def handle(self, session: Session | None, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the SDK answer a request, of a session or of none."""

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._note(session, scope["method"], message)
            await send(message)

        with self._busy(session), self._counted(scope["method"]):
            await self._manager.handle_request(scope, receive, watch)

    def _note(self, session: Session | None, method: str, begin: Message) -> None:
        """Note from the head of an answer that a session was opened, which names it, or has ended."""
        status, named = begin["status"], Headers(raw=begin["headers"]).get(MCP_SESSION_ID_HEADER)
        if session is None:
            return
        if session.is_coming and status < 400 and named:  # one and the same from here on: it is counted once
            del self._known[session.id]
            session.id = named
            self._known[named] = session
        elif not session.is_coming and (status == 404 or (method == "DELETE" and status < 400)):
            self._known.pop(session.id, None)

    async def _end(self, session: Session) -> None:
        """End a session as its own client would."""
        del self._known[session.id]
        scope = {
            "type": "http",
            "method": "DELETE",
            "path": "/mcp",
            "query_string": b"",
            "headers": [(MCP_SESSION_ID_HEADER.encode(), session.id.encode())],
        }
        await self.handle(session, scope, _nothing, _nowhere)

    @contextmanager
    def _busy(self, session: Session | None) -> Iterator[None]:
        if session is None:
            yield
            return
        session.busy += 1
        try:
            yield
        finally:
            session.busy -= 1
            session.used_at = time.monotonic()

    @contextmanager
    def _counted(self, method: str) -> Iterator[None]:
        """Count a call while it lasts; a stream that is merely open is none."""
        if method != "POST":
            yield
            return
        self._calls += 1
        self._quiet.clear()
        try:
            yield
        finally:
            self._calls -= 1
            if not self._calls:
                self._quiet.set()


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _nowhere(_: Message) -> None:
    pass
