"""How many answers may wait for a job, or leave with images, at a time: for each owner, and in all.

All that wait count: long polls, streams of events, waiting answers of OpenAI's and ModelScope's APIs, MCP calls and
streams. Each keeps a connection and some memory for as long as it waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from contract.errors.exceptions import Refused
from contract.errors.kind import ErrorKind
from producer.api.services.fair_share import FairShare
from producer.error_catalogue import TOO_BUSY, TOO_MANY_WAITS

LEAST_EACH = 4
RETRY_S = 5


class Waits:
    """The answers of one gateway that wait; one that is too many for its owner is refused as `refusal`."""

    def __init__(self, *, most: int, most_each: int, refusal: ErrorKind = TOO_MANY_WAITS) -> None:
        self._refusal = refusal
        self._share = FairShare(most=most, most_each=most_each, least_each=min(LEAST_EACH, most_each))

    @contextmanager
    def join(self, owner: str) -> Iterator[None]:
        """Be one of them for a while. Raises Refused (`too_many_waits` or what it is here, `too_busy`)."""
        if not self._share.may_take(owner):
            raise Refused(self._refusal, retry_after_s=RETRY_S)
        if self._share.is_full:
            raise Refused(TOO_BUSY, retry_after_s=RETRY_S)
        with self._taken(owner):
            yield

    @contextmanager
    def join_if_possible(self, owner: str) -> Iterator[bool]:
        """Be one of them for a while if there is room, and tell if so: an answer that need not wait comes at once."""
        if self._share.may_take(owner) and not self._share.is_full:
            with self._taken(owner):
                yield True
        else:
            yield False

    @contextmanager
    def _taken(self, owner: str) -> Iterator[None]:
        self._share.take(owner)
        try:
            yield
        finally:
            self._share.give_back(owner)


class KeptPlaces:
    """The places that a request keeps until its response has left, whoever still works for it then."""

    def __init__(self) -> None:
        self._places = ExitStack()
        self._is_over = False

    def keep(self, place: AbstractContextManager[bool]) -> bool:
        """Take a place if there is one; after the end there is none."""
        return not self._is_over and self._places.enter_context(place)

    def close(self) -> None:
        """Give all places back."""
        self._is_over = True
        self._places.close()
