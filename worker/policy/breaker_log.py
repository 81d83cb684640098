"""Circuit breakers that open or close, each as a line in the log of the worker whose call did it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from contract.monitoring.open_breakers import Breaker, Level

logger = logging.getLogger(__name__)


class Way(NamedTuple):
    """Where calls go: the names of a provider and a model."""

    provider: str
    model: str


def log_changes(changes: Iterable[Sequence[str | int]], way: Way) -> None:
    """Log what a script has changed: `contract/store/lua/include/breaker/breaker.lua` has the order of the fields."""
    for level, what, code, milliseconds, owner in changes:
        breaker = Breaker(Level(int(level)), *way, code=str(code), owner=str(owner))
        seconds = int(milliseconds) / 1000
        if what == "opened":
            logger.warning(
                "circuit breaker opened: %s fail (%s); none is made for %.0f s, then one at a time until one succeeds",
                breaker.calls,
                code,
                seconds,
            )
        else:
            logger.info("circuit breaker closed: %s are made again, after %.0f s (%s)", breaker.calls, seconds, code)
