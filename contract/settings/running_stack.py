"""Where a running stack is: what `darkroom up` writes next to its lock for other processes.

Only what Python itself has is imported: nanobot looks here while it starts.
"""

from __future__ import annotations

import fcntl
import json
from dataclasses import dataclass, field, fields
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Where a running stack is, as `stack.json` says."""

    config: str
    redis_url: str
    gateway_url: str | None = None
    flower_url: str | None = None
    flower_login: str | None = field(default=None, repr=False)


def find_running(home: Path) -> Running | None:
    """Find the stack that runs from a Darkroom directory; unknown fields of a newer one are ignored."""
    try:
        told = json.loads((home / "stack.json").read_text())
        with (home / "stack.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None  # no process holds it
    except BlockingIOError:
        pass
    except (OSError, ValueError):
        return None
    try:
        return Running(**{each.name: told[each.name] for each in fields(Running) if each.name in told})
    except TypeError:
        return None
