"""Load shedding: when submits under way have become slow, further ones are refused at once instead of kept waiting.

Owners share the room that there is: one that has none under way is let in however many another one has.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from contract.errors.exceptions import Refused
from producer.error_catalogue import TOO_BUSY

FEW = 32  # are never too many
MOST = 512  # of all owners, while those under way stand still
LONG_S = 0.2


class LoadShedder:
    """The submits under way."""

    def __init__(self) -> None:
        self._since: dict[object, float] = {}  # the first has come first
        self._each: Counter[str] = Counter()  # by owner

    def check(self, owner: str) -> None:
        """Admit another submit unless those under way stand still and this owner has its share of them.

        Raises Refused (`too_busy`).
        """
        is_slow = len(self._since) >= FEW and time.monotonic() - next(iter(self._since.values())) > LONG_S
        share = max(1, FEW // len({*self._each, owner}))
        if is_slow and (self._each[owner] >= share or len(self._since) >= MOST):
            raise Refused(TOO_BUSY, retry_after_s=2)

    @contextmanager
    def join(self, owner: str) -> Iterator[None]:
        """Be one of them for a while."""
        me = object()
        self._since[me] = time.monotonic()
        self._each[owner] += 1
        try:
            yield
        finally:
            del self._since[me]
            self._each[owner] -= 1
            if not self._each[owner]:
                del self._each[owner]
