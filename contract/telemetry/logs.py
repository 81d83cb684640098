"""The log of every process: one line a record, with the job and the request that it is about at its end."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

from contract.telemetry.log_budget import BoundedHandler

LAYOUT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
IDS = ("job_id", "request_id")

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_about: ContextVar[Mapping[str, str]] = ContextVar("about", default=MappingProxyType({}))


@contextmanager
def about(**ids: str) -> Iterator[None]:
    """Have all that is logged meanwhile, and in tasks that begin meanwhile, say what it is about."""
    before = _about.set({**_about.get(), **ids})
    try:
        yield
    finally:
        _about.reset(before)


class LogFormatter(logging.Formatter):
    """Writes a record as one line; only a traceback follows on lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Escape what would begin another line, or command a terminal, and add the ids that are not told yet."""
        known = _about.get()
        ids = {name: str(getattr(record, name, "") or known.get(name, "")) for name in IDS}
        told = [f"{name}={value}" for name, value in ids.items() if value and value not in record.message]
        return _CONTROL.sub(_escape, " ".join([super().formatMessage(record).rstrip(), *told]))


def log_to_stderr(level: int = logging.INFO, *, layout: str = LAYOUT) -> None:
    """Log from now on to stderr, so many lines of each kind a minute at most."""
    handler = BoundedHandler()
    handler.setFormatter(LogFormatter(layout))
    logging.basicConfig(level=level, handlers=[handler])


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
