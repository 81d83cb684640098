"""Turns by owner: only some requests of one owner are worked on at a time, so that those of others come between them.

A request has its turn from when its owner is known until its answer begins, or until it waits for a job. A turn ends by
itself when it lasts long: that request waits for something else, and takes no processor from anybody.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contract.errors.exceptions import Refused
from producer.error_catalogue import TOO_MANY_AT_ONCE

AT_ONCE = 2
ALONE_AT_ONCE = 8  # of an owner beside whom no other had a turn for so many seconds
ALONE_S = 1.0
MOST_IN_LINE = 256
LONG_S = 0.05
RETRY_S = 1


@dataclass(slots=True)
class _Line:
    """One owner's requests."""

    at_work: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)


class Turn:
    """One request's turn."""

    __slots__ = ("_line", "_owner", "_timer", "_turns")

    def __init__(self, turns: OwnerTurns, owner: str, line: _Line) -> None:
        self._turns, self._owner, self._line = turns, owner, line
        self._timer: asyncio.TimerHandle | None = asyncio.get_running_loop().call_later(LONG_S, self.end)

    def end(self) -> None:
        """Let the next one have it; again and again it does nothing."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._turns.pass_on(self._owner, self._line)


class OwnerTurns:
    """The requests of all owners that are worked on, or wait for it."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}
        self._latest = ""  # owner that had a turn
        self._alone_since = 0.0

    async def take(self, owner: str) -> Turn:
        """Wait for a turn, the first first. Raises Refused (`too_many_at_once`)."""
        if owner != self._latest:
            self._latest, self._alone_since = owner, asyncio.get_running_loop().time()
        line = self._lines.setdefault(owner, _Line())
        if line.at_work < self._most_of(owner) and not line.waiting:
            line.at_work += 1
            return Turn(self, owner, line)
        if len(line.waiting) >= MOST_IN_LINE:
            raise Refused(TOO_MANY_AT_ONCE, retry_after_s=RETRY_S)
        coming = asyncio.get_running_loop().create_future()
        line.waiting.append(coming)
        try:
            await coming
        except asyncio.CancelledError:
            if coming.done() and not coming.cancelled():  # it was handed over at the same moment
                self.pass_on(owner, line)
            raise
        return Turn(self, owner, line)

    def _most_of(self, owner: str) -> int:
        now = asyncio.get_running_loop().time()
        is_alone = owner == self._latest and now - self._alone_since > ALONE_S
        return ALONE_AT_ONCE if is_alone else AT_ONCE

    def pass_on(self, owner: str, line: _Line) -> None:
        """Give a turn back; those that are next in line have theirs as far as there is room."""
        line.at_work -= 1
        while line.waiting and line.at_work < self._most_of(owner):
            coming = line.waiting.popleft()
            if not coming.done():
                line.at_work += 1
                coming.set_result(None)
        if not line.at_work:
            self._lines.pop(owner, None)


def end_turn(scope: Scope) -> None:
    """End a request's turn: from now on it waits for something."""
    if turn := scope.get("state", {}).get("turn"):
        turn.end()


class EndOfTurns:
    """Ends a request's turn when its answer begins, or when there is none."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def ending(message: Message) -> None:
            if message["type"] == "http.response.start":
                end_turn(scope)
            await send(message)

        try:
            await self._app(scope, receive, ending)
        finally:
            end_turn(scope)
