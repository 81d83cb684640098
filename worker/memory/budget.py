"""The memory for responses in one worker: the shares that are held, and those that wait for room.

A share whose need is known waits until all of it is free, first come, first served. One whose need is not known grows
by steps: the oldest that grows can always have as much as an answer may have at most, which is kept free for it, so
that one of them always comes to its end. No share waits for itself: where all that hold something wait, the oldest
goes on, although there is no room.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

LARGEST = 96 * 2**20  # bytes of an answer


class Budget:
    """So many bytes, and the shares of them."""

    def __init__(self, most: int, *, largest: int = LARGEST) -> None:
        self._most = most
        self._largest = min(largest, most)
        self._holders: dict[Share, None] = {}  # the oldest first
        self._queue: dict[Share, _Request] = {}  # first come, first served

    @property
    def held(self) -> int:
        """Tell how many bytes are held."""
        return sum(share.held for share in self._holders)

    def share(self) -> Share:
        """Open a share that holds nothing yet; it has to be released."""
        return Share(self)

    def take(self, share: Share, size: int, *, may_grow: bool) -> bool:
        """Give a share so much in all if there is room and no share waits before it; tell whether it was given."""
        if self._queue or not (self._fits(share, size) or self._is_alone(share)):
            return False
        self._give(share, size, may_grow=may_grow)
        return True

    async def wait(self, share: Share, size: int, *, may_grow: bool) -> None:
        """Give a share so much in all, as soon as there is room and it is its turn."""
        request = self._queue[share] = _Request(size, may_grow=may_grow)
        try:
            self.serve()
            await request.granted.wait()
        finally:
            if self._queue.pop(share, None):
                self.serve()

    def serve(self) -> None:
        """Give to all that wait what can be given now: to those that hold something first."""
        while self._queue:
            oldest = next((share for share in self._holders if share in self._queue), None)
            head = next(iter(self._queue))
            if oldest and (self._fits_request(oldest) or self._queue.keys() >= self._holders.keys()):
                self._grant(oldest)
            elif self._fits_request(head) or self._is_alone(head):
                self._grant(head)
            else:
                return

    def adopt(self, share: Share, size: int) -> None:
        """Let a share hold what another one held until now."""
        self._give(share, size, may_grow=False)

    def drop(self, share: Share) -> None:
        """Forget a share that holds nothing any more."""
        self._holders.pop(share, None)
        self.serve()

    def _grant(self, share: Share) -> None:
        request = self._queue.pop(share)
        self._give(share, request.size, may_grow=request.may_grow)
        request.granted.set()

    def _give(self, share: Share, size: int, *, may_grow: bool) -> None:
        share.held, share.may_grow = size, may_grow
        self._holders.setdefault(share)

    def _fits_request(self, share: Share) -> bool:
        return self._fits(share, self._queue[share].size)

    def _fits(self, share: Share, size: int) -> bool:
        """Tell whether there is room, with what is kept free for the oldest share that grows."""
        growing = next((other for other in self._holders if other.may_grow), share)
        kept_free = 0 if growing is share else max(0, self._largest - growing.held)
        return self.held - share.held + size + kept_free <= self._most

    def _is_alone(self, share: Share) -> bool:
        return self._holders.keys() <= {share}


class _Request:
    """What a share waits for."""

    def __init__(self, size: int, *, may_grow: bool) -> None:
        self.size = size
        self.may_grow = may_grow
        self.granted = asyncio.Event()


class Share:
    """What one call holds: `held` bytes, and more of them later if it `may_grow`."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.held = 0
        self.may_grow = False

    def __enter__(self) -> Share:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def take(self, size: int, *, may_grow: bool = False) -> bool:
        """Hold so many bytes in all, if that needs no waiting; tell whether it does so."""
        return self._budget.take(self, max(size, self.held), may_grow=may_grow)

    async def hold(self, size: int, *, may_grow: bool = False) -> None:
        """Hold so many bytes in all; wait until there is room."""
        await self._budget.wait(self, max(size, self.held), may_grow=may_grow)

    def keep(self, size: int) -> None:
        """Hold no more than so many bytes from now on, and grow no more."""
        self.held, self.may_grow = min(size, self.held), False
        if self.held:
            self._budget.serve()
        else:
            self._budget.drop(self)

    def split(self, size: int) -> Share:
        """Hand a part over to a share of its own, which has to be released, too."""
        other = self._budget.share()
        part = min(size, self.held)
        if part:
            self.held -= part
            self._budget.adopt(other, part)
        return other

    def release(self) -> None:
        """Hold nothing any more."""
        self.keep(0)
