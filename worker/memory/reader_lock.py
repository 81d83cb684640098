"""Which picture is decoded alone: a lock that the child processes share, under which light work runs in parallel."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager


class ReaderLock:
    """A reader's end of the lock, which is a file that all of them have open; what is heavier than `beside` is heavy.

    The kernel takes the lock from a reader that dies.
    """

    def __init__(self, descriptor: int, *, beside: int) -> None:
        self._descriptor = descriptor
        self._beside = beside
        self._is_alone = False

    @contextmanager
    def work(self, size: int) -> Iterator[None]:
        """Wait for the turn of work that needs so much memory at first."""
        self._is_alone = size > self._beside
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX if self._is_alone else fcntl.LOCK_SH)
        try:
            yield
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN)

    def weigh(self, size: int) -> None:
        """Wait until work that needs so much memory from now on may go on."""
        if size > self._beside and not self._is_alone:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN)  # two that wait for each other would never go on
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
            self._is_alone = True
