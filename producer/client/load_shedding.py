"""Load shedding: when submits under way have become slow, further ones are refused at once instead of kept waiting."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from contract.errors.exceptions import Refused
from producer.error_catalogue import TOO_BUSY

FEW = 32  # are never too many
LONG_S = 0.2


class LoadShedder:
    """The submits under way."""

    def __init__(self) -> None:
        self._since: dict[object, float] = {}  # the first has come first

    def check(self) -> None:
        """Admit another submit, unless those under way stand still. Raises Refused (`too_busy`)."""
        if len(self._since) >= FEW and time.monotonic() - next(iter(self._since.values())) > LONG_S:
            raise Refused(TOO_BUSY, retry_after_s=2)

    @contextmanager
    def join(self) -> Iterator[None]:
        """Be one of them for a while."""
        me = object()
        self._since[me] = time.monotonic()
        try:
            yield
        finally:
            del self._since[me]
