"""Starts programs without their time to import: a server that has imported one forks, and the child runs it.

`python -m tests.support.process.fork_server 3 worker.app` imports modules, then forks for each request that it reads
from descriptor 3. The child takes environment, arguments and files of the request, and runs a module as `python -m`
does, or a script. It is a process as any other, in a session of its own, and a child of the process that asked.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
PR_SET_CHILD_SUBREAPER = 36
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A process to be started: a module or the path of a script, its arguments, files that it writes to, its folder."""

    program: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    output: str
    errors: str
    folder: str = ""  # that of the server


class ForkedProcess:
    """A child of this process that a fork server has started; used as a `Popen`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """Look whether it has ended; answer its exit code."""
        with self._lock:
            if self.returncode is None:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; answer its exit code."""
        deadline = time.monotonic() + timeout if timeout is not None else None
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            time.sleep(0.005)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """A server that has imported modules in some environment; it ends with this process."""

    def __init__(self, *preload: str, environment: Mapping[str, str] | None = None, python: Path | None = None) -> None:
        self._socket, theirs = socket.socketpair()
        here = [python, "-P", __file__] if python else [sys.executable, "-m", __name__]
        command = [*here, str(theirs.fileno()), *preload]
        self._process = subprocess.Popen(
            command, pass_fds=[theirs.fileno()], cwd=ROOT, env=environment, start_new_session=True
        )
        theirs.close()
        self._answers = self._socket.makefile("r")
        atexit.register(self.close)

    def start(self, start: Start) -> ForkedProcess:
        """Start a process."""
        with _ONE_AT_A_TIME, _adopting():
            self._socket.sendall(json.dumps(asdict(start)).encode() + b"\n")
            return ForkedProcess(int(self._answers.readline()))

    def close(self) -> None:
        """End the server; what it has started goes on."""
        self._answers.close()
        self._socket.close()
        self._process.wait()


def fork(preload: str, start: Start) -> ForkedProcess:
    """Start a process by the server of this test process that has imported a module; blocking, for any thread."""
    with _ONE_AT_A_TIME:
        server = _server(preload)
    return server.start(start)


@cache
def _server(preload: str) -> ForkServer:
    return ForkServer(preload)


@contextmanager
def _adopting() -> Iterator[None]:
    """Become the parent of processes below that lose theirs."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def _serve(requests: socket.socket) -> Start:
    """Fork for each request; only a child returns, with its request."""
    with requests.makefile("r") as lines:
        for line in lines:
            pids, pid = os.pipe()
            adopted, not_yet = os.pipe()
            if (middle := os.fork()) == 0:
                if child := os.fork():
                    os.write(pid, b"%d\n" % child)
                    os._exit(0)
                os.close(not_yet)
                os.read(adopted, 1)  # until it is closed everywhere
                for descriptor in (pids, pid, adopted):
                    os.close(descriptor)
                return Start(**json.loads(line))
            os.waitpid(middle, 0)  # from now on the child belongs to the process that asked
            requests.sendall(os.read(pids, 32))
            for descriptor in (pids, pid, adopted, not_yet):
                os.close(descriptor)
    os._exit(0)


def _become(start: Start) -> None:
    """Take on what a process has from its start."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(start.environment)
    os.chdir(start.folder or ".")
    for target, path in enumerate((os.devnull, start.output, start.errors)):
        opened = os.open(path, os.O_RDWR | os.O_APPEND)
        os.dup2(opened, target)
        os.close(opened)
    sys.argv = [start.program, *start.arguments]
    gc.unfreeze()
    gc.enable()


def main() -> None:
    """Import, then serve; as a child, run what is to be run."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests = socket.socket(fileno=int(sys.argv[1]))
    for module in sys.argv[2:]:
        importlib.import_module(module)
    assert threading.active_count() == 1, "a process with threads cannot be forked"
    gc.collect()
    gc.freeze()
    start = _serve(requests)
    requests.close()
    _become(start)
    if "/" in start.program:
        runpy.run_path(start.program, run_name="__main__")
    else:
        runpy.run_module(start.program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
