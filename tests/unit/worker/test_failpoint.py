"""Failpoints: told by one variable, reached at one place and time, and nothing where nothing was told."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contract.errors.exceptions import ConfigInvalid
from worker import failpoint

WORKER = Path(failpoint.__file__).parent


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    """No failpoint outlives its test."""
    yield
    failpoint.arm("")


def fails(name: str) -> str:
    """Reach a place; answer the name of the error that it raises, or nothing."""
    try:
        failpoint.reach(name)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return ""


@contextmanager
def run_into(text: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that arms a failpoint, reaches its place twice in a thread, and says at once where it is."""
    code = (
        "import os, threading\n"
        "from worker import failpoint\n"
        f"failpoint.arm({text!r})\n"
        "def go(words):\n"
        "    failpoint.reach('after_pop')\n"
        "    os.write(1, words)\n"
        "for words in b'first ', b'second ':\n"
        "    thread = threading.Thread(target=go, args=[words])\n"
        "    thread.start()\n"
        "    thread.join()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=WORKER.parent, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def test_each_name_is_a_place_in_the_worker_and_each_place_has_a_name() -> None:
    modules = [*WORKER.rglob("*.py"), *(WORKER.parent / "contract" / "artifacts").rglob("*.py")]
    places = [place for path in modules for place in re.findall(r'reach\("(\w+)"\)', path.read_text())]
    assert sorted(places) == sorted(failpoint.NAMES)


@pytest.mark.parametrize("effect", ["ENOSPC", "EIO", "EROFS"])
def test_an_error_is_raised_at_its_place_and_time_and_never_again(effect: str) -> None:
    failpoint.arm(f"before_write:2:{effect}")
    assert [fails(name) for name in ("before_write", "after_pop", "before_write", "before_write")] == [
        "",
        "",
        effect,
        "",
    ]


def test_without_the_variable_nothing_happens() -> None:
    failpoint.arm("before_write:1:EIO")
    failpoint.arm("")
    assert [fails(name) for name in sorted(failpoint.NAMES)] == [""] * len(failpoint.NAMES)


@pytest.mark.parametrize(
    ("text", "said"), [("after_pop:1", b""), ("after_pop:2", b"first "), ("after_pop:2:kill", b"first ")]
)
def test_without_an_effect_it_is_a_kill(text: str, said: bytes) -> None:
    with run_into(text) as process:
        assert process.communicate(timeout=10)[0] == said
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("again", range(5))
def test_a_process_stops_right_there_and_goes_on_when_it_is_told_to(again: int) -> None:
    with run_into("after_pop:2:stop") as process:
        stopped = os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        assert stopped is not None
        assert (stopped.si_status, process.poll()) == (signal.SIGSTOP, None)
        assert process.stdout is not None
        assert os.read(process.stdout.fileno(), 100) == b"first ", again
        process.send_signal(signal.SIGCONT)
        assert process.communicate(timeout=10)[0] == b"second "
    assert process.returncode == 0


@pytest.mark.parametrize(
    "text",
    [
        *("nowhere:1", "after_pop", "after_pop:", "after_pop:0:kill", "after_pop:-1:kill", "after_pop:x:kill"),
        *("after_pop:1:KILL", "after_pop:1:EVIL", "after_pop:1:errorcode", "after_pop:1:kill:now", ":1:kill", " "),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(ConfigInvalid, match="DARKROOM_FAILPOINT: must be <name>:<nth>"):
        failpoint.arm(text)
