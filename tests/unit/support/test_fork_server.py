"""What a fork server starts is as `python -m` starts it; what a child cannot be given is started for real."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.process.fork_server import (
    EARLY,
    FIXED,
    ROOT,
    ForkedProcess,
    ForkServer,
    Start,
    can_fork,
    fork,
    spawn,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux lets a process adopt others")

PROGRAM = """
import gc, json, locale, os, resource, signal, sys, threading, time, warnings

def stream(of):
    leads_to = os.readlink(f"/proc/self/fd/{of.fileno()}")
    return [of.encoding, of.errors, of.line_buffering, of.write_through, of.isatty(), leads_to]

limits = [name for name in dir(resource) if name.startswith("RLIMIT_")]
told = {
    "name": __name__,
    "spec": __spec__.name,
    "main": sys.modules["__main__"].__dict__ is globals(),
    "arguments": sys.argv,
    "original arguments": sys.orig_argv,
    "command line": open("/proc/self/cmdline").read(),
    "environment": dict(os.environ),
    "folder": os.getcwd(),
    "path": sys.path,
    "flags": str(sys.flags),
    "warnings": [str(each) for each in warnings.filters],
    "umask": os.umask(0o077),
    "parent": os.getppid(),
    "leads": [os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid()],
    "signals": {number: str(signal.getsignal(number)) for number in signal.valid_signals()},
    "blocked": list(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "open": sorted(name for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")),
    "limits": {name: resource.getrlimit(getattr(resource, name)) for name in limits},
    "nice": os.nice(0),
    "streams": [stream(each) for each in (sys.stdin, sys.stdout, sys.stderr)],
    "encodings": [sys.getfilesystemencoding(), locale.getpreferredencoding(False), locale.setlocale(locale.LC_ALL)],
    "collects": [gc.isenabled(), gc.get_threshold()],
    "keeps": gc.get_freeze_count() > 0,
    "threads": threading.active_count(),
    "hashes": hash("wave"),
    "imported": "wave" in sys.modules,
    "input": sys.stdin.read(),
}
print(json.dumps(told), flush=True)
time.sleep(float(sys.argv[1]))
sys.exit(3)
"""
# What a forked process has from its server; nothing that we start asks for it.
OTHERWISE = {
    "command line": "of its server",
    "original arguments": "of its server",
    "hashes": "the seed is drawn once for each interpreter, and no test may depend on it",
    "imported": "that is what it is for",
    "keeps": "to look for garbage in what was imported would copy all its memory",
}
# Says which variables an import reads, and where.
RECORDER = """
import importlib, json, os, re, sys, traceback

read, get, walk = {}, os._Environ.__getitem__, os._Environ.__iter__

def note(name):
    frames = [frame.filename for frame in traceback.extract_stack()[:-2]]
    inner = re.compile("<frozen|/os\\.py|/posixpath\\.py|/_collections_abc\\.py")
    read[name] = next(file for file in reversed(frames) if not inner.search(file))

def reading(self, name):
    note(name)
    return get(self, name)

def walking(self):
    note("everything")
    return walk(self)

os._Environ.__getitem__, os._Environ.__iter__ = reading, walking
importlib.import_module(sys.argv[1])
print(json.dumps(read))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the programs are."""
    folder = tmp_path_factory.mktemp("programs")
    (folder / "program_of_a_test.py").write_text(PROGRAM)
    (folder / "warns.py").write_text("import sys\nsys.stderr.write('careful\\n')\n")
    (folder / "breaks.py").write_text("import sys\nsys.stderr.write('careful\\n')\nraise ImportError('it is broken')\n")
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[ForkServer]:
    server = ForkServer("wave", environment=FIXED | {"PYTHONPATH": str(folder)})  # a module that nothing else imports
    yield server
    server.close()


def start(server: ForkServer, log: Path, seconds: str, **environment: str) -> ForkedProcess:
    log.write_bytes(b"")
    return server.start(
        Start(
            program="program_of_a_test",
            arguments=[seconds],
            environment={"HOME": str(log.parent)} | environment,
            output=str(log),
            errors=str(log),
        )
    )


def test_a_program_runs_as_python_m_runs_it(
    server: ForkServer, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environment = {"HOME": str(tmp_path), "PYTHONPATH": str(folder)}
    log, real_log = tmp_path / "log", tmp_path / "real.log"
    assert start(server, log, "0", **environment).wait(30) == 3
    assert spawn([sys.executable, "-m", "program_of_a_test", "0"], environment, real_log).wait(30) == 3
    forked, real = json.loads(log.read_text()), json.loads(real_log.read_text().replace("real.log", "log"))
    assert (forked["parent"], forked["imported"], real["imported"]) == (os.getpid(), True, False)
    assert {name for name in real if forked[name] != real[name]} == OTHERWISE.keys()


def test_two_programs_of_a_server_run_side_by_side(server: ForkServer, tmp_path: Path) -> None:
    logs = tmp_path / "one.log", tmp_path / "two.log"
    started = [start(server, log, "0") for log in logs]
    assert [process.wait(30) for process in started] == [3, 3]
    assert [json.loads(log.read_text())["environment"]["HOME"] for log in logs] == [str(tmp_path)] * 2


def test_a_program_of_another_environment_runs_in_its_folder_and_sees_nothing_of_ours(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import os, sys; print(os.getcwd(), sys.argv[1:], 'wave' in sys.modules, sys.path[0])")
    (tmp_path / "log").touch()
    server = ForkServer("wave", "json", environment={}, python=Path(sys.executable))
    process = server.start(
        Start(
            program=str(program),
            arguments=["x"],
            environment={},
            output=str(tmp_path / "log"),
            errors=str(tmp_path / "log"),
            folder=str(tmp_path),
        )
    )
    assert process.wait(30) == 0
    server.close()
    assert re.fullmatch(rf"{tmp_path} \['x'\] True \S+\.zip\n", (tmp_path / "log").read_text())


def test_nothing_of_the_environment_of_the_tests_is_passed_on(
    server: ForkServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET_OF_THE_TESTS", "x")
    start(server, tmp_path / "log", "0").wait(30)
    assert json.loads((tmp_path / "log").read_text())["environment"].keys() <= {"HOME", "LC_CTYPE"}


def test_a_program_can_be_ended_and_tells_of_what_it_died(server: ForkServer, tmp_path: Path) -> None:
    process = start(server, tmp_path / "log", "60")
    assert process.poll() is None
    process.kill()
    assert process.wait(30) == -signal.SIGKILL
    process.kill()  # nobody is hit


def test_all_that_a_program_started_can_be_ended_as_soon_as_it_is_known(server: ForkServer, tmp_path: Path) -> None:
    for _ in range(20):
        process = start(server, tmp_path / "log", "60")
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL


def test_what_an_import_says_is_in_the_log_of_each_program(folder: Path, tmp_path: Path) -> None:
    server = ForkServer("warns", environment=FIXED | {"PYTHONPATH": str(folder)})
    for log in (tmp_path / "one.log", tmp_path / "two.log"):
        start(server, log, "0").wait(30)
        assert log.read_text().startswith("careful\n{")
    server.close()


def test_a_server_that_died_says_so_and_why(folder: Path, tmp_path: Path) -> None:
    server = ForkServer("breaks", environment=FIXED | {"PYTHONPATH": str(folder)})
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"(?s)server of breaks died \(1\): careful.*ImportError: it is broken"):
            start(server, tmp_path / "log", "0")
    server.close()


@pytest.mark.parametrize("preload", ["worker.app", "producer.api.app", "producer.cli.main"])
def test_an_import_reads_only_what_makes_a_start_a_real_one(preload: str) -> None:
    command = [sys.executable, "-c", RECORDER, preload]
    done = subprocess.run(command, env=FIXED, cwd=ROOT, capture_output=True, text=True, check=True)
    read = json.loads(done.stdout)
    assert "PYTHONUSERBASE" in read
    otherwise = {name: file for name, file in read.items() if not EARLY.fullmatch(name)}
    assert "/sysconfig" in otherwise.pop("HOME")  # it makes a table of folders that nobody looks into
    assert otherwise == {}


@pytest.mark.parametrize("name", ["PYTHONUTF8", "MALLOC_ARENA_MAX", "LD_PRELOAD", "OPENSSL_CONF", "TZ", "NO_COLOR"])
def test_a_variable_that_a_child_cannot_be_given_makes_a_start_a_real_one(name: str) -> None:
    usual = dict(os.environ) | {"PYTHONPATH": str(ROOT)}
    assert can_fork(usual | {"DARKROOM_PORT": "1", "HOME": "/nowhere"})
    assert not can_fork(usual | {name: "1"})
    with pytest.raises(ValueError, match="not in tuple"):
        fork("wave", Start(program="wave", arguments=[], environment=usual | {name: "1"}, output="", errors=""))
