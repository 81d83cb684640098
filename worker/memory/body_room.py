"""Room for the body of one answer: taken while it comes, and given back but for what is kept of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from worker.memory.budget import LARGEST, Share

FREE_BYTES = 2**18  # of a body, which need no room
STEP_BYTES = 4 * 2**20  # of a body whose length is not known
PIECE_BYTES = 2**16  # that are read at a time


class BodyRoom:
    """A body's part of the share of its call; what fails is given back."""

    def __init__(self, share: Share) -> None:
        self._share = share
        self._before = share.held
        self._there = FREE_BYTES

    def __enter__(self) -> BodyRoom:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.keep(0)

    def take(self, read: int, length: int | None) -> bool:
        """Tell whether a body of which so much was read can be read on, without waiting."""
        if self._there >= min(read + PIECE_BYTES, LARGEST):
            return True
        is_taken = self._share.take(self._wanted(length), may_grow=length is None)
        self._there = self._next(length) if is_taken else self._there
        return is_taken

    async def wait(self, length: int | None) -> None:
        """Wait until the body can be read on: to its end if its length is known."""
        await self._share.hold(self._wanted(length), may_grow=length is None)
        self._there = self._next(length)

    def keep(self, size: int) -> None:
        """Hold no more of the body than so many bytes."""
        self._share.keep(self._before + size)

    def _wanted(self, length: int | None) -> int:
        return self._before + (self._next(None) if length is None else length)

    def _next(self, length: int | None) -> int:
        return min(self._there + STEP_BYTES, LARGEST) if length is None else LARGEST


@contextmanager
def paused(limit: asyncio.Timeout, *, until: float) -> Iterator[None]:
    """Stop a clock that is running, but not beyond some time of the event loop's."""
    loop = asyncio.get_running_loop()
    by, since = limit.when(), loop.time()
    if by is None:
        yield
        return
    limit.reschedule(max(by, until))
    yield
    if not limit.expired():
        limit.reschedule(by + loop.time() - since)
