"""A sandboxed child process for untrusted input: both ends of the socket to it.

It has limits of memory and processor time, sees no key and no address, and one that breaks its limits
dies alone. A body crosses without being copied; what comes back is a small description and some bytes.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from contract.untrusted.sandbox_protocol import Frame, receive, send

LARGE_BYTES = 2**20  # blocks of this size go back to the system at once
CHILD_NICE = 10  # Redis and gateways on the same machine answer first
MEMORY_BYTES = 3 * 2**29  # a body of 96 MiB, its text, and an image of 40 Mpx
CPU_S = 10  # for each question
ANSWER_S = 30.0  # of silence

Reply = tuple[dict[str, Any], bytes]


class SandboxProcess:
    """Our end: one process and the socket to it; blocking, so use a thread."""

    def __init__(self, module: str, *arguments: str, lock: IO[bytes] | None = None) -> None:
        """Start a process; it gets the descriptor of the socket, that of a `lock` file, and further arguments."""
        locks = [lock.fileno()] if lock else []
        self._socket, theirs = socket.socketpair()
        try:
            with theirs:
                # Of our environment it has only where Python finds its modules.
                self._process = subprocess.Popen(  # noqa: S603
                    [sys.executable, "-P", "-m", module, *map(str, [theirs.fileno(), *locks]), *arguments],
                    pass_fds=[theirs.fileno(), *locks],
                    env={
                        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                        "MALLOC_MMAP_THRESHOLD_": str(LARGE_BYTES),
                    },
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                )
        except OSError:
            self._socket.close()
            raise
        self._socket.settimeout(ANSWER_S)

    def ask(self, question: dict[str, Any], body: bytes | bytearray) -> Frame:
        """Hand a question over and wait for the answer; a bytearray is emptied as soon as it has left.

        Raises OSError, EOFError, ValueError.
        """
        try:
            send(self._socket, question, body)
            if isinstance(body, bytearray):
                body.clear()
            return receive(self._socket)
        except BaseException:
            self.close()
            raise

    def is_dead(self) -> bool:
        """Tell whether the process has ended without being asked."""
        return self._process.poll() is not None

    def interrupt(self) -> None:
        """Kill the process without waiting for it; a caller that waits for its answer gets an error."""
        self._process.kill()

    def kill(self) -> None:
        """End the process, and wait until it has."""
        self.interrupt()
        self._process.wait()

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    def end(self) -> None:
        """End everything."""
        self.kill()
        self.close()


def serve(answer: Callable[[dict[str, Any], bytearray], Reply]) -> None:
    """Its end: answer one question after the other, under limits, until ours is gone."""
    limit()
    with suppress(EOFError, ConnectionError), socket.socket(fileno=int(sys.argv[1])) as connection:
        connection.settimeout(None)  # a parent with a default time-out hands over a socket that does not block
        while True:
            question, body = receive(connection)
            used = resource.getrusage(resource.RUSAGE_SELF)
            seconds = int(used.ru_utime + used.ru_stime) + 1 + CPU_S
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
            send(connection, *answer(question, body))


def limit() -> None:
    """Bound this process's memory, stand back behind those who answer, and let nothing be written when it dies."""
    os.nice(CHILD_NICE)
    with suppress(OSError):  # where memory runs out it is this process that ends, as it costs one picture only
        Path("/proc/self/oom_score_adj").write_text("1000")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # they are for our end, which may still drain; this one ends with it
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(ValueError, OSError):  # macOS knows no limit of memory
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
