"""The MCP sessions of this gateway: each belongs to the owner who opened it, and memory for them is bounded.

The SDK serves them and ends those that were not used for a while. Here stands whose they are, how many one owner
may have, and that they end when the gateway stops, so that no open stream holds it up. A client may come to another
gateway than the one that opened its session: then that one opens a copy, which the SDK knows by another id.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

from mcp.server.lowlevel import Server
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from contract.errors.exceptions import Refused, Unavailable
from contract.store.keys import digest
from producer.api.requests import MAX_JSON
from producer.api.sessions.cancellations import Cancellations
from producer.api.sessions.own_requests import cancelled, hello, ready, renamed, request_of, unheard
from producer.api.sessions.records import IDLE_S, IN_USE, SessionRecords
from producer.error_catalogue import TOO_BUSY
from producer.mcp.stopped_calls import has_timed_out

MOST = 1000  # 35 KB each
PARTING_S = 3.0  # in which calls are answered when the gateway stops
TELL_S = 10.0  # so often the other gateways are told of the sessions here


@dataclass(slots=True, eq=False)
class Session:
    """One client's session, or the copy of one that was opened at another gateway."""

    id: str
    owner: str
    inner_id: str = ""  # as the SDK calls it, once it does
    is_recorded: bool = False  # the other gateways can know of it
    busy: int = 0  # requests under way, an open stream included
    used_at: float = field(default_factory=time.monotonic)

    @property
    def is_over(self) -> bool:
        """Tell whether it has been idle for so long that it has ended."""
        return not self.busy and time.monotonic() - self.used_at > IDLE_S

    @property
    def idle_s(self) -> float:
        """Tell for how long it has been idle, or that it is IN_USE."""
        return IN_USE if self.busy else time.monotonic() - self.used_at


class Sessions:
    """All sessions of one process."""

    def __init__(
        self,
        server: Server[dict[str, object]],
        closing: asyncio.Event,
        records: SessionRecords,
        cancellations: Cancellations,
    ) -> None:
        self._manager = StreamableHTTPSessionManager(
            server, session_idle_timeout=IDLE_S, max_sessions=MOST, max_request_body_size=MAX_JSON
        )
        self._closing = closing
        self._records = records
        self._cancellations = cancellations
        self._known: dict[str, Session] = {}
        self._copying: dict[str, asyncio.Task[Session]] = {}
        self._calls = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Serve sessions until the gateway stops, or to the end of this."""
        ready = asyncio.Event()
        serving, telling = asyncio.create_task(self._serve(ready)), asyncio.create_task(self._keep_telling())
        await asyncio.wait({serving, asyncio.ensure_future(ready.wait())}, return_when=asyncio.FIRST_COMPLETED)
        try:
            yield
        finally:
            telling.cancel()
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

    async def _keep_telling(self) -> None:
        """Tell of the sessions here for ever, and end those that have ended elsewhere."""
        while True:
            await asyncio.sleep(TELL_S)
            with suppress(Unavailable):
                await self.tell()

    async def tell(self) -> None:
        """Tell the other gateways of the sessions here, and end those that have ended elsewhere. Raises Unavailable."""
        self._known = {name: session for name, session in self._known.items() if not session.is_over}
        for owner in {session.owner for session in self._known.values()}:
            for session in [session for session in self._of(owner) if session.inner_id and not session.is_recorded]:
                if not await self._record(session):  # Redis was away when it was opened
                    await self._end(session)
            await self._tell_of(owner)

    async def find(self, session_id: str, owner: str, version: str | None = None) -> Session | None:
        """Find a session of an owner, whichever gateway opened it; those of others are as if they were not there.

        Raises Refused (`too_busy`), and Unavailable for one that is not here when Redis is away.
        """
        session = self._known.get(session_id)
        if session is not None and not session.is_over and session.inner_id:
            return session if session.owner == owner else None
        if not await self._records.knows(owner, session_id):
            return None
        if session_id not in self._copying:
            self._copying[session_id] = asyncio.create_task(self._copy(session_id, owner, version))
            self._copying[session_id].add_done_callback(lambda _: self._copying.pop(session_id))
        return await asyncio.shield(self._copying[session_id])

    async def _copy(self, session_id: str, owner: str, version: str | None) -> Session:
        """Open a copy of a session that another gateway has opened."""
        session = Session(session_id, owner, is_recorded=True)
        with self._busy(session):
            self._known[session_id] = session
            await self._drop_one(owner)
            for message in (hello(version), ready()):
                await self.handle(session, *request_of("POST", session.inner_id, message), unheard)
        if not session.inner_id:
            del self._known[session_id]
            raise Refused(TOO_BUSY, retry_after_s=5)
        return session

    async def begin(self, owner: str, scope: Scope, receive: Receive, send: Send) -> bool:
        """Let the SDK answer a request that opens a session, if its owner may have one more; tell if so."""
        session = Session(uuid.uuid4().hex, owner)
        with self._busy(session):
            self._known[session.id] = session
            try:
                if not await self._record(session):
                    return False
                await self.handle(session, scope, receive, send)
            finally:
                if not session.inner_id:
                    await self._forget(session)
        with suppress(Unavailable):  # it is in use no longer
            await self._tell_of(owner)
        return True

    async def _record(self, session: Session) -> bool:
        """Make a session known to all gateways, if its owner may have one more; tell if so."""
        try:
            session.is_recorded = await self._tell_of(session.owner, opened=session.id)
        except Unavailable:
            return await self._drop_one(session.owner)
        return session.is_recorded

    async def _tell_of(self, owner: str, *, opened: str = "") -> bool:
        """Tell of an owner's sessions here, and open one more if there may be one; end those that are gone."""
        idle_s = {session.id: session.idle_s for session in self._of(owner) if session.is_recorded}
        is_open, gone = await self._records.tell(owner, idle_s, opened=opened)
        for session in self._of(owner):
            if digest(session.id) in gone:
                await self._end(session)
        return is_open

    async def _drop_one(self, owner: str) -> bool:
        """Make room for one more session of an owner here, whatever others know; tell if there is room."""
        own = list(self._of(owner))
        if len(own) <= self._records.most_of_owner:
            return True
        idle = [session for session in own if not session.busy]
        if idle:
            await self._end(min(idle, key=lambda session: session.used_at))
        return bool(idle)

    def _of(self, owner: str) -> Iterable[Session]:
        return [session for session in self._known.values() if session.owner == owner and not session.is_over]

    async def handle(self, session: Session | None, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the SDK answer a request, of a session or of none."""

        async def watch(message: Message) -> None:
            if session is not None and message["type"] == "http.response.start":
                await self._note(session, scope["method"], message)
                message = {**message, "headers": renamed(message["headers"], session.id)}
            await send(message)

        inner = {**scope, "headers": renamed(scope["headers"], session.inner_id)} if session else scope
        with self._busy(session), self._counted(scope["method"]):
            await self._manager.handle_request(inner, receive, watch)

    async def serve(self, session: Session | None, message: object, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the SDK answer a message; a call ends when it is cancelled, at whichever gateway."""
        match message:
            case {"method": "tools/call", "id": str() | int() as call} if session is not None:
                async with self._cancellations.heard(session.id, call, partial(self._cancel, session, call)):
                    await self.handle(session, scope, receive, send)
            case {"method": "notifications/cancelled", "params": {"requestId": str() | int() as call, **more}} if (
                session
            ):
                await self.handle(session, scope, receive, send)
                await self._cancellations.tell(session.id, call, has_timed_out=has_timed_out(more.get("reason")))
            case _:
                await self.handle(session, scope, receive, send)

    async def _cancel(self, session: Session, call: str | int, timed_out: bool) -> None:
        """Cancel a call that is served here, as the session's own client would."""
        message = cancelled(call, "timed out" if timed_out else "cancelled")
        await self._manager.handle_request(*request_of("POST", session.inner_id, message), unheard)

    async def _note(self, session: Session, method: str, begin: Message) -> None:
        """Note from the head of an answer that a session was opened, which names it, or has ended."""
        status, named = begin["status"], Headers(raw=begin["headers"]).get(MCP_SESSION_ID_HEADER)
        if not session.inner_id:
            session.inner_id = named if status < 400 and named else ""
        elif status == 404 or (method == "DELETE" and status < 400):
            await self._forget(session)

    async def _forget(self, session: Session) -> None:
        """Forget a session that has ended, here and everywhere."""
        self._known.pop(session.id, None)
        with suppress(Unavailable):
            await self._records.end(session.owner, session.id)

    async def _end(self, session: Session) -> None:
        """End a session here, as its own client would."""
        if self._known.pop(session.id, None) and session.inner_id:
            await self._manager.handle_request(*request_of("DELETE", session.inner_id), unheard)

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
