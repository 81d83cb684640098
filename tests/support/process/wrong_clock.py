"""A wall clock that is wrong, inside one process.

    python -m tests.support.process.wrong_clock SECONDS -- MODULE ARGUMENT...

runs a module as `python -m MODULE ARGUMENT...` would, with its wall clock shifted by so many seconds. Shifted are
`time.time`, `time_ns`, `clock_gettime` and `clock_gettime_ns` of CLOCK_REALTIME; `gmtime`, `localtime`, `ctime`,
`asctime` and `strftime` when they are given no time; `datetime.now`, `utcnow` and `today`; `date.today`. What C code
reads by itself, the times of files, child processes and all monotonic clocks are not.
"""

from __future__ import annotations

import runpy
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, Self
from unittest.mock import patch


@contextmanager
def shifted(seconds: float) -> Iterator[None]:
    """Put this process's wall clock wrong; modules that have taken their functions before keep the honest ones."""
    with ExitStack() as stack:
        for name, function in _functions(seconds).items():
            stack.enter_context(patch(f"time.{name}", function))
        for name, kind in _kinds(timedelta(seconds=seconds)).items():
            stack.enter_context(patch(f"datetime.{name}", kind))
        yield


def _functions(seconds: float) -> dict[str, Callable[..., Any]]:
    """Make the functions of `time`."""
    now, now_ns, strftime = time.time, time.time_ns, time.strftime
    gettime, gettime_ns, localtime = time.clock_gettime, time.clock_gettime_ns, time.localtime

    def of_realtime(clock: int, shift: float) -> float:
        return shift if clock == time.CLOCK_REALTIME else 0

    def at_now(function: Callable[[float], object]) -> Callable[..., object]:
        return lambda at=None: function(now() + seconds if at is None else at)

    def of_fields(function: Callable[..., object]) -> Callable[..., object]:
        return lambda *fields: function(*(fields or (localtime(now() + seconds),)))

    return {
        "time": lambda: now() + seconds,
        "time_ns": lambda: now_ns() + int(seconds * 1e9),
        "clock_gettime": lambda clock: gettime(clock) + of_realtime(clock, seconds),
        "clock_gettime_ns": lambda clock: gettime_ns(clock) + int(of_realtime(clock, seconds * 1e9)),
        "gmtime": at_now(time.gmtime),
        "localtime": at_now(localtime),
        "ctime": at_now(time.ctime),
        "asctime": of_fields(time.asctime),
        "strftime": lambda form, *fields: strftime(form, *(fields or (localtime(now() + seconds),))),
    }


def _kinds(shift: timedelta) -> dict[str, type]:
    """Make the classes of `datetime`; honest instances, which C code makes, count as theirs."""

    class AnyDate(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, date)

    class AnyDatetime(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, datetime)

    class Date(date, metaclass=AnyDate):
        @classmethod
        def today(cls) -> Self:
            return cls.fromtimestamp(time.time())

    class Datetime(datetime, metaclass=AnyDatetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            moment: Self = super().now(tz) + shift
            return moment

        @classmethod
        def utcnow(cls) -> Self:
            moment: Self = cls.now(UTC).replace(tzinfo=None)
            return moment

        @classmethod
        def today(cls) -> Self:
            return cls.now()

    return {"date": Date, "datetime": Datetime}


def main(arguments: Sequence[str]) -> None:
    """Run a module with a wrong clock."""
    seconds, dashes, module, *rest = arguments
    assert dashes == "--", "usage: python -m tests.support.process.wrong_clock SECONDS -- MODULE ARGUMENT..."
    sys.argv = [module, *rest]
    with shifted(float(seconds)):
        runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
