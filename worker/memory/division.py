"""How a worker's memory is divided: its own, that of the answers in flight, and that of its readers.

An answer lies in the worker as long as its body, then as its picture; a reader holds two to three times its body,
then its pixels. What needs more than half of the readers' part is read alone. The largest picture that is allowed
may need more than all of it: where memory runs out then, the kernel ends that reader, and never the worker.
"""

from __future__ import annotations

from dataclasses import dataclass

MIB = 2**20
OWN = 224 * MIB  # the worker with some hundred calls and small answers, and its readers at rest
READERS = 1280 * MIB  # two of the largest pictures there may be: WebPs of 40 Mpx
LEAST = 32 * MIB
MOST = 1024 * MIB  # of bodies; what is more would only wait for a reader


@dataclass(frozen=True, slots=True)
class Portions:
    """Bytes of responses in flight, and what a child process may use next to another one."""

    bodies: int
    beside: int


def divide(limit: int, *, bodies: int | None = None) -> Portions:
    """Divide so much memory; `bodies` replaces the share for responses."""
    left = max(0, limit - OWN)
    readers = min(left * 16 // 25 if bodies is None else max(0, left - bodies), READERS)
    if bodies is None:
        bodies = min(max(LEAST, left - readers), MOST)
    return Portions(bodies=bodies, beside=max(LEAST, readers // 2))
