"""What `darkroom up` shows on a terminal only: the first token and Flower's login, which both open their doors."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from tests.support.lacking import redis_program
from tests.support.process.shell import Terminal, processes_of

pytestmark = pytest.mark.real_redis
KEY = "sk-or-canary"
PARTS = ("worker", "producer.api", "producer.flower", "simulator")


@pytest.fixture
def shell() -> Iterator[Terminal]:
    """A shell in a fresh home."""
    redis_program()
    with TemporaryDirectory(prefix="dr-") as folder:
        yield Terminal(Path(folder))
        assert processes_of(folder) == []


def find(pattern: str, said: str) -> str:
    """Find what a line of `darkroom up` tells."""
    found = re.search(pattern, said)
    assert found, said
    return found[1]


def environments(home: Path, part: str) -> list[str]:
    """Read the environments of the processes of a stack that run a part; there must be some."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            command = (process / "cmdline").read_text().split("\0")
            environment = (process / "environ").read_text()
            if part in command and f"HOME={home}" in environment.split("\0"):
                found.append(environment)
    assert found, part
    return found


def written(folder: Path) -> dict[Path, bytes]:
    """Read all files there are."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}


def test_the_token_that_a_terminal_shows_opens_the_gateway_and_stands_nowhere_else(shell: Terminal) -> None:
    up = shell.type("up", "--demo", "--flower", DARKROOM_PORT="0", OPENROUTER_API_KEY=KEY)
    said = up.until("Ctrl-C stops everything.")
    token, url = find(r"Token: (dk_\S+) \(shown this once\)", said), find(r"Gateway: (\S+)", said)
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as gateway:
        assert gateway.get("/v1/jobs").status_code == 401
        gateway.headers["Authorization"] = f"Bearer {token}"
        job = gateway.post("/v1/jobs", json={"prompt": "a fox [slow 0.1]"}, headers={"Prefer": "wait=20"}).json()
        assert (job["state"], job["owner"]) == ("succeeded", shell.owner)
    assert job["id"] in shell.run("list", "-q").stdout.split()
    known = {part for part in PARTS if any(KEY in environment for environment in environments(shell.home, part))}
    assert known == {"worker"}
    user, password = find(r"\(login (\S+)\)", said).split(":")
    assert httpx.get(find(r"Flower: (\S+)", said), auth=(user, password), follow_redirects=True).status_code == 200
    up.press("\x03")
    assert up.end() == 0
    assert said.count("dk_") == up.said.count("dk_") == 1
    files = written(shell.home)
    assert [path for path, content in files.items() if token.encode() in content] == []
    assert [path for path, content in files.items() if password.encode() in content] == []
    assert any(path.name == "gateway.log" for path in files)

    again = shell.type("up", "--demo", DARKROOM_PORT="0")
    assert "Token: `darkroom token create NAME` makes one" in again.until("Ctrl-C stops everything.")
    again.process.send_signal(signal.SIGTERM)
    assert again.end() == 0


@pytest.mark.parametrize("more", [{}, {"FORCE_COLOR": "1"}, {"TTY_COMPATIBLE": "1"}], ids=["plain", "colours", "tty"])
def test_what_goes_to_a_log_has_no_secret(shell: Terminal, more: dict[str, str]) -> None:
    stack = shell.up("--demo", "--flower", DARKROOM_PORT="0", **more)
    login = find(r'"flower_login": "darkroom:([^"]+)"', (shell.home / ".nanobot/darkroom/stack.json").read_text())
    assert "dk_" not in stack.said + stack.stop()
    assert login not in stack.said
    assert "is in darkroom/stack.json" in re.sub(r"\x1b\[[0-9;]*m", "", stack.said)
