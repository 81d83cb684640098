"""Named places where this process can be told to fail: `DARKROOM_FAILPOINT=name:nth[:effect]`, for tests of recovery.

The effect comes about when the place is reached for the nth time: `kill` (as by SIGKILL), `stop` (frozen until a
SIGCONT), or the name of an error such as `ENOSPC`, which is raised as an OSError. Without the variable nothing happens.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import threading
from dataclasses import dataclass
from itertools import count

from contract.errors.exceptions import ConfigInvalid, Problem

NAMES = frozenset(
    (
        *("after_pop", "after_claim", "before_call_count", "after_call_count", "after_response"),
        *("before_write", "after_tmp_write", "after_image_link", "after_sidecar", "after_report"),
        *("after_commit_before_ack", "after_release"),
    )
)
_SPELLING = re.compile(r"([a-z_]+):([1-9][0-9]{0,8})(?::([a-zA-Z]+))?")
_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


@dataclass(frozen=True, slots=True)
class _Failpoint:
    name: str
    nth: int
    effect: str
    times: count[int]


_armed: _Failpoint | None = None


def arm(text: str) -> None:
    """Choose where this process fails; "" is nowhere. Raises ConfigInvalid."""
    global _armed
    found = _SPELLING.fullmatch(text)
    name, nth, effect = found.groups("kill") if found else ("", "", "")
    if text and (name not in NAMES or not (effect in _SIGNALS or effect in errno.errorcode.values())):
        raise ConfigInvalid([Problem("DARKROOM_FAILPOINT", f"must be <name>:<nth>[:<effect>], not {text}")])
    _armed = _Failpoint(name, int(nth), effect, count(1)) if text else None


def reach(name: str) -> None:
    """Fail here, if this is the place and the time. Raises OSError."""
    if _armed is None or _armed.name != name or next(_armed.times) != _armed.nth:
        return
    if number := _SIGNALS.get(_armed.effect):
        signal.pthread_kill(threading.get_ident(), number)  # this very thread goes no step further
        return
    number = getattr(errno, _armed.effect)
    raise OSError(number, os.strerror(number))
