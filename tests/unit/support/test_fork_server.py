"""What a fork server starts is as `python -m` starts it: module, arguments, environment, log, session, exit code."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.process.fork_server import ForkedProcess, ForkServer, Start

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux lets a process adopt others")

PROGRAM = """
import json, os, sys, time
told = {"name": __name__, "arguments": sys.argv[1:], "environment": dict(os.environ), "parent": os.getppid()}
told |= {"leads": os.getsid(0) == os.getpid(), "imported": "wave" in sys.modules, "stdin": sys.stdin.read()}
print(json.dumps(told), flush=True)
time.sleep(float(sys.argv[1]))
sys.exit(3)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    folder = tmp_path_factory.mktemp("programs")
    (folder / "program_of_a_test.py").write_text(PROGRAM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        server = ForkServer("wave")  # a module that nothing else imports
    yield server
    server.close()


def start(server: ForkServer, log: Path, seconds: str) -> ForkedProcess:
    log.write_bytes(b"")
    return server.start(
        Start(
            program="program_of_a_test",
            arguments=[seconds],
            environment={"HOME": str(log.parent)},
            output=str(log),
            errors=str(log),
        )
    )


def test_a_program_runs_as_python_m_runs_it(server: ForkServer, tmp_path: Path) -> None:
    logs = tmp_path / "one.log", tmp_path / "two.log"
    started = [start(server, log, "0") for log in logs]
    assert [process.wait(30) for process in started] == [3, 3]
    for log in logs:
        told = json.loads(log.read_text())
        assert told.pop("environment").items() >= {"HOME": str(tmp_path)}.items()
        assert told == {
            "name": "__main__",
            "arguments": ["0"],
            "parent": os.getpid(),
            "leads": True,
            "imported": True,
            "stdin": "",
        }


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
