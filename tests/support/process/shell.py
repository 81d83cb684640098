"""The command line as people use it: shells in homes of their own, on a terminal or not."""

from __future__ import annotations

import fcntl
import getpass
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory

import httpx
import pytest

from tests.support.lacking import redis_program
from tests.support.process.fork_server import Start, can_fork, fork

DARKROOM = Path(sys.executable).parent / "darkroom"
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class Up:
    """A running `darkroom up`, and what it has said so far."""

    process: subprocess.Popen[str]
    said: str

    @property
    def gateway(self) -> str:
        """The address of its gateway."""
        found = re.search(r"Gateway: (\S+)", self.said)
        assert found, self.said
        return found[1]

    def stop(self) -> str:
        """Press Ctrl-C; answer what was said."""
        self.process.send_signal(signal.SIGINT)
        _, said = self.process.communicate(timeout=60)
        assert self.process.returncode == 0
        return said


class Typed:
    """A command that runs on a terminal; what it has said is read as it comes."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        self.process = process
        self.said = ""
        self._terminal = terminal

    def press(self, keys: str) -> None:
        """Type something; `\\x03` is Ctrl-C, `\\x04` Ctrl-D."""
        os.write(self._terminal, keys.encode())

    def until(self, words: str, *, timeout_s: float = 60) -> str:
        """Read until some words are said; answer all that was said."""
        end = time.monotonic() + timeout_s
        while words not in self.said:
            assert self._read(end), f"it did not say {words!r}: {self.said}"
        return self.said

    def end(self, *, timeout_s: float = 60) -> int:
        """Read to its end; answer its exit code."""
        end = time.monotonic() + timeout_s
        while self._read(end):
            pass
        self.close()
        return self.process.wait(timeout=timeout_s)

    def close(self) -> None:
        """Take the terminal away, as a closed window does."""
        os.close(self._terminal)

    def _read(self, end: float) -> bool:
        """Read what is there, without colours; False when the terminal was left, or it is too late."""
        ready, _, _ = select.select([self._terminal], [], [], max(0.0, end - time.monotonic()))
        try:
            some = os.read(self._terminal, 65536) if ready else b""
        except OSError:  # nobody has it open any more
            some = b""
        self.said += _COLOURS.sub("", some.decode(errors="replace"))
        return bool(some)


@dataclass(frozen=True)
class Terminal:
    """A shell in a home of its own, beside a running stack if there is one."""

    home: Path
    stack: Up | None = None

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run `darkroom …` to its end."""
        environment = self.environment | more
        if can_fork(environment) and all(name.startswith("DARKROOM_") for name in more):
            return _run_forked(arguments, environment)
        return subprocess.run(
            [DARKROOM, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a fresh login."""
        return {"HOME": str(self.home), "PATH": os.environ["PATH"], "COLUMNS": "80", "CI": os.environ.get("CI", "")}

    def up(self, *arguments: str, **more: str) -> Up:
        """Start `darkroom up` and wait until it says that it is."""
        process = subprocess.Popen(
            [DARKROOM, "up", *arguments],
            env=self.environment | more,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert process.stderr is not None
        lines: list[str] = []
        for line in iter(process.stderr.readline, ""):
            lines.append(line)
            if "Ctrl-C stops" in line:
                return Up(process, "".join(lines))
        pytest.fail(f"it did not start: {lines}")

    @property
    def owner(self) -> str:
        """Whose jobs those of the command line are."""
        return f"cli:{getpass.getuser()}"

    def gateway(self) -> httpx.Client:
        """Open the gateway with a token for the jobs of the command line."""
        assert self.stack is not None
        made = self.run(
            "token", "create", f"t{time.monotonic_ns()}", "--rights", "read,submit,paths", "--user", self.owner
        )
        token = made.stdout.strip()
        return httpx.Client(
            base_url=self.stack.gateway, headers={"Authorization": f"Bearer {token}"}, timeout=30, trust_env=False
        )

    def type(self, *arguments: str, **more: str) -> Typed:
        """Run `darkroom …` where a person sits: on a terminal of 80 columns."""
        return self.open(str(DARKROOM), *arguments, **more)

    def open(self, *command: str, **more: str) -> Typed:
        """Run a command on a terminal."""
        ours, its = pty.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        process = subprocess.Popen(
            command,
            env=self.environment | {"TERM": "xterm"} | more,
            stdin=its,
            stdout=its,
            stderr=its,
            preexec_fn=_take_the_terminal,
        )
        os.close(its)
        return Typed(process, ours)


@contextmanager
def open_terminal(*up: str, **more: str) -> Iterator[Terminal]:
    """Open a terminal beside a running `darkroom up`; nothing of it is left afterwards."""
    redis_program()
    with TemporaryDirectory(prefix="dr-") as folder:
        shell = Terminal(Path(folder))
        stack = shell.up(*up, **more)
        yield Terminal(Path(folder), stack)
        said = stack.stop()
        assert "Stopping" in said
        assert not (shell.home / ".nanobot/darkroom/stack.json").exists()
        assert processes_of(folder) == []


def processes_of(folder: str) -> list[str]:
    """Find processes that still work in a folder."""
    listing = subprocess.run(["ps", "-axww", "-o", "pid=,command="], capture_output=True, text=True, check=True).stdout
    return [line for line in listing.splitlines() if folder in line]


def _run_forked(arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `darkroom …` without its time to import; `up` and all that is typed are started as people do."""
    with NamedTemporaryFile() as output, NamedTemporaryFile() as errors:
        process = fork(
            "producer.cli.main",
            Start(
                program=str(DARKROOM),
                arguments=[str(argument) for argument in arguments],
                environment=environment,
                output=output.name,
                errors=errors.name,
            ),
        )
        try:
            code = process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        said, told = Path(output.name).read_text(), Path(errors.name).read_text()
    return subprocess.CompletedProcess(["darkroom", *arguments], code, said, told)


def _take_the_terminal() -> None:
    """Become the program that the terminal's Ctrl-C goes to."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
