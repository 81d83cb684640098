"""Pieces of images are read one at a time, and owners take turns: large answers of one hold up no other's requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from weakref import WeakValueDictionary

Turn = Callable[[], AbstractAsyncContextManager[None]]  # for one piece


class PieceTurns:
    """The answers with images that leave one gateway."""

    def __init__(self) -> None:
        self._all = asyncio.Lock()
        self._owners: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def take(self, owner: str) -> AsyncIterator[None]:
        """Wait for a turn; of each owner one piece is in line."""
        own = self._owners.setdefault(owner, asyncio.Lock())
        async with own, self._all:
            yield
