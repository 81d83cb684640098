"""A network inside one process: names resolve from a table, and connections are led to loopback ports.

    python -m tests.support.network.fake_network TABLE -- MODULE ARGUMENT...

runs a module as `python -m MODULE ARGUMENT...` would, inside the network that TABLE (JSON, or a file of
it) describes. Loopback stays open; any other address without a route refuses connections. Each
resolution of a name and each attempt to connect is a line in the network's log, before it happens.
"""

from __future__ import annotations

import errno
import ipaddress
import json
import runpy
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

INTERNET = (socket.AF_INET, socket.AF_INET6)
FAILURES = {"NXDOMAIN": socket.EAI_NONAME, "SERVFAIL": socket.EAI_AGAIN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What names and addresses lead to."""

    log: Path
    # The answers of a name one after the other, the last one again and again: its addresses, or one of FAILURES.
    names: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)
    slow: Mapping[str, float] = field(default_factory=dict)  # seconds that a name takes to resolve
    routes: Mapping[str, int] = field(default_factory=dict)  # "93.184.215.14:443" or "[2606::1]:443" to a port

    @classmethod
    def read(cls, text: str) -> Network:
        """Read a table, or a file that holds one."""
        table = json.loads(text if text.lstrip().startswith("{") else Path(text).read_text())
        return cls(**{**table, "log": Path(table["log"])})

    def table(self) -> str:
        """Write the table for another process."""
        parts = {"names": self.names, "slow": self.slow, "routes": self.routes}
        return json.dumps({"log": str(self.log), **parts})

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Put this process into the network."""
        inside = _Inside(self)
        with (
            patch.object(socket, "getaddrinfo", inside.getaddrinfo),
            patch.object(socket.socket, "connect", inside.connect(socket.socket.connect)),
            patch.object(socket.socket, "connect_ex", inside.connect(socket.socket.connect_ex)),
        ):
            yield

    def resolved(self) -> list[str]:
        """List the names that were resolved, oldest first."""
        return [entry["resolve"] for entry in self._entries() if "resolve" in entry]

    def connected(self) -> list[str]:
        """List the `address:port` of all attempts to connect outside loopback, refused ones too, oldest first."""
        targets = [entry["connect"] for entry in self._entries() if "connect" in entry]
        return [target for target in targets if not _is_loopback(target)]

    def attempted(self, port: int) -> bool:
        """Tell whether a connection to a loopback port was attempted by its own address."""
        return bool(self.attempts(port))

    def attempts(self, port: int) -> list[str]:
        """List the threads that attempted a connection to a loopback port by its own address, oldest first."""
        tries = [(entry["connect"], entry["by"]) for entry in self._entries() if "connect" in entry]
        return [by for target, by in tries if _is_loopback(target) and target.endswith(f":{port}")]

    def _entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []


class _Inside:
    """The network as one process sees it."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._honest = socket.getaddrinfo
        self._asked: Counter[str] = Counter()
        self._lock = threading.Lock()

    def getaddrinfo(
        self,
        host: str | bytes | None,
        port: int | str | None,
        family: int = 0,
        type: int = 0,  # noqa: A002 (the name that callers give)
        proto: int = 0,
        flags: int = 0,
    ) -> list[tuple[Any, ...]]:
        """Resolve as `socket.getaddrinfo` does, numeric hosts in all their spellings too."""
        name = host.decode() if isinstance(host, bytes) else host
        if name is None or name.rstrip(".").lower() == "localhost":
            return list(self._honest(name, port, family, type, proto, flags))
        flags |= socket.AI_NUMERICHOST
        with suppress(socket.gaierror):
            return list(self._honest(name, port, family, type, proto, flags))
        found: list[tuple[Any, ...]] = []
        for address in self._answer(name):
            with suppress(socket.gaierror):  # of another family than was asked for
                found += self._honest(address, port, family, type, proto, flags)
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "no address of this family")
        return found

    def connect(self, honest: Any) -> Any:
        """Make a method of sockets that leads connections where the table says."""

        def connect(sock: socket.socket, address: Any) -> Any:
            return honest(sock, self._way(sock, address) if sock.family in INTERNET else address)

        return connect

    def _answer(self, name: str) -> Sequence[str]:
        answers = self._network.names.get(name.lower(), [["NXDOMAIN"]])
        with self._lock:
            answer = answers[min(self._asked[name.lower()], len(answers) - 1)]
            self._asked[name.lower()] += 1
        self._write(resolve=name, answer=answer)
        time.sleep(self._network.slow.get(name.lower(), 0))
        if answer[0] in FAILURES:
            raise socket.gaierror(FAILURES[answer[0]], answer[0])
        return answer

    def _way(self, sock: socket.socket, address: tuple[Any, ...]) -> tuple[Any, ...]:
        host, port = address[:2]
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        route = self._network.routes.get(target)
        self._write(connect=target, route=route, by=threading.current_thread().name)
        if route is not None:
            return ("::ffff:127.0.0.1" if sock.family == socket.AF_INET6 else "127.0.0.1", route)
        if _is_loopback(target):
            return address
        raise ConnectionRefusedError(errno.ECONNREFUSED, f"no route to {target}")

    def _write(self, **entry: object) -> None:
        with self._lock, self._network.log.open("a") as log:
            log.write(json.dumps(entry) + "\n")


def _is_loopback(target: str) -> bool:
    host = target.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def main(arguments: Sequence[str]) -> None:
    """Run a module inside a network."""
    table, dashes, module, *rest = arguments
    assert dashes == "--", __doc__
    sys.argv = [module, *rest]
    with Network.read(table).installed():
        runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
