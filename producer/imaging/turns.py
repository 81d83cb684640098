"""Turns at the sandbox: owners who wait take turns, small copies go first, and clients that have gone lose theirs."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from contract.errors.exceptions import Refused
from contract.store.keys import digest
from producer.error_catalogue import TOO_BUSY, TOO_MANY_IMAGES_WAITING

MOST_EACH = 32  # images of one owner that wait
MOST = 256  # of all
WAIT_S = 60.0
URGENT_IN_A_ROW = 3  # while others wait


async def _stays() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Asker:
    """Who wants an image to be looked at; `is_gone` tells whether the client no longer waits for the answer."""

    owner: str = ""
    is_gone: Callable[[], Awaitable[bool]] = _stays
    owner_digest: str = ""  # where no more is known of the owner

    @property
    def turn(self) -> str:
        """Name whose turn it is: the same for all that one owner asks."""
        return self.owner_digest or digest(self.owner)


class _Line:
    """Those who wait, in turns by owner."""

    def __init__(self) -> None:
        self._owners: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._owners.values()))

    def count(self, owner: str) -> int:
        return len(self._owners.get(owner, ()))

    def join(self, owner: str) -> asyncio.Future[None]:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._owners.setdefault(owner, deque()).append(place)
        return place

    def leave(self, owner: str, place: asyncio.Future[None]) -> None:
        places = self._owners.get(owner, deque())
        if place in places:
            places.remove(place)
            if not places:
                del self._owners[owner]

    def call_next(self) -> bool:
        """Call the next one, if there is one."""
        while self._owners:
            owner, places = self._owners.popitem(last=False)
            place = places.popleft()
            if places:
                self._owners[owner] = places  # behind the others
            if not place.cancelled():
                place.set_result(None)
                return True
        return False


class Turns:
    """Lets so many go on at a time."""

    def __init__(self, places: int = 1, *, wait_s: float = WAIT_S) -> None:
        self._free = places
        self._wait_s = wait_s
        self._urgent, self._others = _Line(), _Line()
        self._in_a_row = 0

    @asynccontextmanager
    async def take(self, asker: Asker, *, is_urgent: bool = False) -> AsyncIterator[None]:
        """Wait for a turn, and have it for a while.

        Raises Refused: `too_many_images_waiting` for an owner who has enough of them, `too_busy` when there are too
        many in all, when the turn does not come in time, and when the client has gone.
        """
        await self._wait(asker, self._urgent if is_urgent else self._others)
        try:
            if await asker.is_gone():
                raise _busy()  # nobody hears it
            yield
        finally:
            self._go_on()

    async def _wait(self, asker: Asker, line: _Line) -> None:
        if self._free:
            self._free -= 1
            return
        if self._urgent.count(asker.turn) + self._others.count(asker.turn) >= MOST_EACH:
            raise Refused(TOO_MANY_IMAGES_WAITING, max=MOST_EACH, retry_after_s=5)
        if len(self._urgent) + len(self._others) >= MOST:
            raise _busy()
        place = line.join(asker.turn)
        try:
            async with asyncio.timeout(self._wait_s):
                await place
        except (TimeoutError, asyncio.CancelledError) as error:
            if place.cancelled():
                line.leave(asker.turn, place)
            else:
                self._go_on()  # the turn came at the same moment
            if isinstance(error, TimeoutError):
                raise _busy() from error
            raise

    def _go_on(self) -> None:
        """Give a turn that is over to the next one."""
        lines = (self._urgent, self._others)
        if self._in_a_row >= URGENT_IN_A_ROW:
            lines = (self._others, self._urgent)
        called = next((line for line in lines if line.call_next()), None)
        self._in_a_row = self._in_a_row + 1 if called is self._urgent else 0
        if called is None:
            self._free += 1


def _busy() -> Refused:
    return Refused(TOO_BUSY, retry_after_s=5)
