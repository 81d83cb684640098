"""How a worker's memory is divided: its own, that of the answers in flight, and that of its readers.

An answer lies in the worker as long as its body, then as its picture; a reader holds two to three times its body,
then its pixels. One large picture is read alone, so the readers take no more than the largest one.
"""

from __future__ import annotations

from dataclasses import dataclass

MIB = 2**20
OWN = 224 * MIB  # the worker with some hundred calls and small answers, and its readers at rest
READERS = 640 * MIB  # the largest picture there may be: a WebP of 40 Mpx
LEAST = 32 * MIB
MOST = 1024 * MIB  # of bodies; more answers than that need no readers' time soon


@dataclass(frozen=True, slots=True)
class Portions:
    """Bytes of answers in flight, and what a reader may take beside another one."""

    bodies: int
    beside: int


def divide(limit: int, *, bodies: int | None = None) -> Portions:
    """Divide so much memory; `bodies` are what somebody wants for answers instead."""
    left = max(0, limit - OWN)
    readers = min(left * 4 // 5, 2 * READERS) if bodies is None else min(max(0, left - bodies), 2 * READERS)
    usual = min(max(LEAST, left - readers), MOST)
    return Portions(bodies=usual if bodies is None else bodies, beside=max(LEAST, readers // 2))
