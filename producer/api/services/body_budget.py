"""How many bytes of request bodies may be arriving at a time: for each owner, and in all.

Slow senders hold memory or disk for minutes. An owner may have half of what the others leave, so that there is room for
one more owner.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from contract.errors.exceptions import Refused
from producer.error_catalogue import TOO_BUSY, TOO_MANY_BYTES

MOST = 256 * 2**20
MOST_EACH = 96 * 2**20  # the largest body that is taken, with images in JSON, has some 90 MiB
LEAST_EACH = 4 * 2**20  # a job with the longest prompt and its references by name has less
RESERVE = 64 * 2**20  # beyond MOST, for the least of further owners


class BodyBudget:
    """The bodies that arrive at one gateway."""

    def __init__(self) -> None:
        self._arriving: Counter[str] = Counter()  # bytes by owner

    def of(self, owner: str) -> OwnerBodies:
        """Take the part of one owner."""
        return OwnerBodies(self._arriving, owner)


class OwnerBodies:
    """The bodies of one owner."""

    def __init__(self, arriving: Counter[str], owner: str) -> None:
        self._arriving = arriving
        self._owner = owner

    @contextmanager
    def arrive(self) -> Iterator[Callable[[int], None]]:
        """Count a body while it arrives, as it is told its bytes.

        Telling raises Refused: `too_many_bytes` for too many of the owner's, `too_busy` for too many in all.
        """
        counted = 0

        def count(size: int) -> None:
            nonlocal counted
            self._check(size)
            self._arriving[self._owner] += size
            counted += size

        try:
            yield count
        finally:
            self._arriving[self._owner] -= counted
            if not self._arriving[self._owner]:
                del self._arriving[self._owner]

    def _check(self, size: int) -> None:
        own = self._arriving[self._owner]
        others = self._arriving.total() - own
        if own + size > max(LEAST_EACH, min(MOST_EACH, (MOST - others) // 2)):
            raise Refused(TOO_MANY_BYTES, retry_after_s=5)
        if own + others + size > MOST + RESERVE:
            raise Refused(TOO_BUSY, retry_after_s=5)
