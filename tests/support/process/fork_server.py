"""Starts programs without their time to import: a server that has imported one forks, and the child runs it.

`python -m tests.support.process.fork_server 3 worker.app` imports modules, then forks for each request that it reads
from descriptor 3. The child takes environment, arguments, folder and files of the request, and runs a module as
`python -m` does, or a script. It is a process as any other, in a session of its own, and a child of the process that
asked. What a program reads only as it begins cannot be given to it any more: `can_fork` tells.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import json
import os
import re
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile

ROOT = Path(__file__).parents[3]
PR_SET_CHILD_SUBREAPER = 36
# Variables that the interpreter, its libraries in C, or an import read once. A child keeps those of its server.
EARLY = re.compile(
    r"_?(?:PYTHON|MALLOC_|GLIBC_|LD_|LC_|OPENSSL_)\w*|LANG|LANGUAGE|TZ"
    r"|(?:OTEL|PYDANTIC|KOMBU|CELERY|C|PILLOW|TORNADO|WRAPT|PSUTIL|MP|TYPER|TTY)_\w+"
    r"|COLUMNS|LINES|TERM|ITERM_PROFILE|FORCE_COLOR|NO_COLOR|DISABLE_TRACEBACKS|PICKLE_PROTOCOL|USE_FAST_LOCALS"
    r"|NOSETPS|FORKED_BY_MULTIPROCESSING|REMAP_SIGTERM|TIMER_DEBUG"
)
FIXED = {"HOME": "/", "PATH": os.defpath}  # what programs are imported with, whichever test is the first to need one
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A process to be started: a module or the path of a script, its arguments, files that it writes to, its folder."""

    program: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    output: str
    errors: str
    folder: str = field(default_factory=os.getcwd)


class ForkedProcess:
    """A child of this process that a fork server has started; used as a `Popen`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """Look whether it has ended; answer its exit code."""
        with self._lock:
            return self._look()

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
        with self._lock:  # else another thread may look meanwhile, and its number may become that of a stranger
            if self._look() is None:
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)

    def _look(self) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


class ForkServer:
    """A server that has imported modules in some environment; it ends with this process."""

    def __init__(self, *preload: str, environment: Mapping[str, str], python: Path | None = None) -> None:
        """Start a server, if need be with the Python of another environment, which then sees nothing of ours."""
        self._preload = " ".join(preload)
        self._socket, theirs = socket.socketpair()
        self._errors = TemporaryFile()  # noqa: SIM115 (closed with the server)
        here = [python, "-P", __file__] if python else [sys.executable, "-m", __name__]
        command = [*here, str(theirs.fileno()), *preload]
        self._process = subprocess.Popen(
            command,
            pass_fds=[theirs.fileno()],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # rich asks at its import whether this is a terminal
            stderr=self._errors,
            start_new_session=True,
        )
        theirs.close()
        self._answers = self._socket.makefile("r")
        atexit.register(self.close)

    def start(self, start: Start) -> ForkedProcess:
        """Start a process. Raises RuntimeError if the server has died, with its last words."""
        with _ONE_AT_A_TIME, _adopting():
            try:
                self._socket.sendall(json.dumps(asdict(start)).encode() + b"\n")
                answer = self._answers.readline()
            except OSError:
                answer = ""
            if answer:
                return ForkedProcess(int(answer))
        code = self._process.wait()
        said = os.pread(self._errors.fileno(), 2**16, 0).decode(errors="replace")
        raise RuntimeError(f"the fork server of {self._preload} died ({code}): {said}")

    def close(self) -> None:
        """End the server; what it has started goes on."""
        self._answers.close()
        self._socket.close()
        self._process.wait()
        self._errors.close()


def early(environment: Mapping[str, str]) -> dict[str, str]:
    """Pick the variables that a forked process cannot be given any more."""
    return {name: value for name, value in environment.items() if EARLY.fullmatch(name)}


# What such variables usually are: as in a fresh login of a test, or those of the tests themselves.
_USUAL: tuple[dict[str, str], ...] = ({"COLUMNS": "80"}, early(os.environ) | {"PYTHONPATH": str(ROOT)})


def can_fork(environment: Mapping[str, str]) -> bool:
    """Tell whether a process with these variables may be forked; another one has to be started for real."""
    return sys.platform == "linux" and early(environment) in _USUAL


def fork(preload: str, start: Start, *, first: Sequence[str] = ()) -> ForkedProcess:
    """Start a process by the server of this test process that has imported modules; blocking, for any thread."""
    with _ONE_AT_A_TIME:
        server = _server((*first, preload), _USUAL.index(early(start.environment)))
    return server.start(start)


def spawn(command: Sequence[str | Path], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start a process for real, otherwise as a server would."""
    with log.open("ab") as written:
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            start_new_session=True,
        )


@cache
def _server(preload: tuple[str, ...], usual: int) -> ForkServer:
    return ForkServer(*preload, environment=FIXED | _USUAL[usual])


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
            if _is_child(requests):
                return Start(**json.loads(line))
    os._exit(0)


def _is_child(requests: socket.socket) -> bool:
    """Fork twice, so that the child loses its parent, and tell its number once it leads a session."""
    pids, pid = os.pipe()
    adopted, not_yet = os.pipe()
    if (middle := os.fork()) == 0:
        if os.fork():
            os._exit(0)
        os.setsid()
        os.write(pid, b"%d\n" % os.getpid())
        os.close(not_yet)
        os.read(adopted, 1)  # until it is closed everywhere
        for descriptor in (pids, pid, adopted):
            os.close(descriptor)
        return True
    os.close(pid)
    os.waitpid(middle, 0)  # from now on the child belongs to the process that asked
    requests.sendall(os.read(pids, 32))
    for descriptor in (pids, adopted, not_yet):
        os.close(descriptor)
    return False


def _become(start: Start) -> None:
    """Take on what a process has from its start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    coerced = {"LC_CTYPE": os.environ["LC_CTYPE"]} if "LC_CTYPE" in os.environ else {}  # by the interpreter, from C
    os.environ.clear()
    os.environ.update(coerced | {**start.environment})
    os.chdir(start.folder)
    if not sys.flags.safe_path:
        sys.path[0] = str(Path(start.program).parent) if "/" in start.program else start.folder
    said = os.pread(sys.stderr.fileno(), 2**16, 0)  # as it was imported, which is a part of its start
    for target, path in enumerate((os.devnull, start.output, start.errors)):
        opened = os.open(path, os.O_RDWR | os.O_APPEND)
        os.dup2(opened, target)
        os.close(opened)
    os.write(sys.stderr.fileno(), said)
    sys.argv = [start.program, *start.arguments]
    gc.enable()  # what was imported stays frozen: to look through it would copy all its memory


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
