"""Ports on loopback: which are free, and which one the gateway of a stack has.

Clients are set up for one port. Where another program has it, the gateway takes another one, the same one each time.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from random import SystemRandom

# Below those that systems give to clients: one of these is not taken between being found and being used.
_PORTS = cycle(SystemRandom().sample(range(20_000, 32_768), k=4096))


def choose_port(wish: int, record: Path) -> int:
    """Choose the wished port if it is free, else the one that was taken in its place before, else a new one."""
    if wish and is_free(wish):
        return wish
    kept = 0
    with suppress(OSError, ValueError):
        kept = int(record.read_text())
    port = free_port(kept if 1024 <= kept <= 65_535 else 0)
    record.write_text(f"{port}\n")
    return port


def free_port(wish: int = 0) -> int:
    """Find a free loopback port: the wished one, else one that this process was not told before."""
    while not (wish and is_free(wish)):
        wish = next(_PORTS)
    return wish


def is_free(port: int) -> bool:
    """Tell whether a server could listen on a loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: old connections keep no port
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
