"""`darkroom doctor` in set-ups that people have, each real: what is wrong is said once, with its own cure."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from producer.doctor.finding import Finding
from tests.support.network.broken_redis import serving
from tests.support.network.loopback import answering
from tests.support.process.mounts import mounting
from tests.support.stack.stack import ROOT

Look = Callable[..., dict[str, Finding]]

DARKROOM = str(Path(sys.executable).parent / "darkroom")
KEY = '{"providers": {"openrouter": {"apiKey": "canary"}}}'
VARIABLE = '{"providers": {"openrouter": {"apiKey": "${OUR_KEY}"}}}'
NOBODY = '{"tools": {"imageGeneration": {"provider": "nobody"}}}'
NOWHERE = "redis://127.0.0.1:1/0"
CLOCK = "from tests.support.process.wrong_clock import shifted"
AHEAD = f"{CLOCK}\nfrom producer.cli.main import main\nwith shifted(90): main()"


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """Runs the doctor in an empty home with a configuration; answers what it found wrong, by name."""

    def look(config: str | None = KEY, *before: str, **environment: str) -> dict[str, Finding]:
        (tmp_path / ".nanobot").mkdir(exist_ok=True)
        if config is not None:
            (tmp_path / ".nanobot/config.json").write_text(config)
        given = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "DARKROOM_REDIS_URL": NOWHERE, "PYTHONPATH": ROOT}
        command = [*(before or (DARKROOM,)), "doctor", "--json"]
        done = subprocess.run(command, env=given | environment, capture_output=True, text=True, timeout=60, check=False)
        assert ("canary" in done.stdout, done.stderr) == (False, "")
        findings = [Finding(**finding) for finding in json.loads(done.stdout)]
        assert done.returncode == (0 if all(finding.ok for finding in findings) else 1)
        assert all(finding.hint for finding in findings if not finding.ok)
        wrong = [finding for finding in findings if not finding.ok]
        assert len({finding.name for finding in wrong}) == len(wrong)  # nothing is said twice
        return {finding.name: finding for finding in wrong}

    return look


def test_1_no_configuration(look: Look, tmp_path: Path) -> None:
    wrong = look(None)
    assert list(wrong) == ["config", "key of openrouter", "redis"]
    assert wrong["config"].detail == f"there is no {tmp_path}/.nanobot/config.json: defaults are used"
    assert wrong["config"].hint == "`darkroom config init` writes an example."
    assert (wrong["key of openrouter"].detail, "OPENROUTER_API_KEY" in wrong["key of openrouter"].hint) == (
        "missing",
        True,
    )


def test_1b_a_named_configuration_that_is_missing(look: Look) -> None:
    wrong = look(None, DARKROOM_CONFIG="/nowhere/config.json")
    assert list(wrong) == ["config"]
    assert wrong["config"].detail.startswith("/nowhere/config.json: does not exist; ")
    assert "DARKROOM_CONFIG" in wrong["config"].detail


def test_2_a_variable_that_is_not_set(look: Look) -> None:
    wrong = look(VARIABLE)
    assert list(wrong) == ["key of openrouter", "redis"]
    key = wrong["key of openrouter"]
    assert key.detail == "missing: environment variable OUR_KEY is not set"
    assert key.hint.startswith("Set OUR_KEY in the environment")
    assert "OPENROUTER_API_KEY" not in key.hint
    assert "key of openrouter" not in look(VARIABLE, OUR_KEY="canary")


def test_2b_keys_that_are_elsewhere_are_not_missed(look: Look) -> None:
    assert list(look(None, DARKROOM_KEYS_ELSEWHERE="true")) == ["redis"]


@pytest.mark.parametrize(
    ("url", "says", "hint"),
    [
        (NOWHERE, "at 127.0.0.1:1: Redis does not answer: nothing listens there", "darkroom up"),
        ("redis://nowhere.invalid:6380", "at nowhere.invalid:6380: Redis cannot be found", "Fix the host name"),
    ],
)
def test_3_a_redis_that_is_down_or_unknown(url: str, says: str, hint: str, look: Look) -> None:
    wrong = look(DARKROOM_REDIS_URL=url)
    assert list(wrong) == ["redis"]
    assert wrong["redis"].detail.startswith(says)
    assert hint in wrong["redis"].hint


def test_5_a_media_directory_that_is_read_only(look: Look, tmp_path: Path) -> None:
    media = tmp_path / ".nanobot/media"
    media.mkdir(parents=True)
    mount = f'mount -t tmpfs -o ro tmpfs {media} && exec "$@"'
    found = look(KEY, *mounting(), "sh", "-c", mount, "sh", DARKROOM)["media directory"]
    assert found.detail == f"{media} cannot be written to"
    assert found.hint == f"Mount the file system of {media} writable."


def test_5b_a_file_where_the_media_directory_should_be(look: Look, tmp_path: Path) -> None:
    (tmp_path / ".nanobot").mkdir()
    (tmp_path / ".nanobot/media").write_text("no directory")
    found = look()["media directory"]
    assert found.hint == f"Put a directory in place of the file {tmp_path}/.nanobot/media."


def test_6_a_disk_that_is_full(look: Look, tmp_path: Path) -> None:
    media = tmp_path / ".nanobot/media"
    media.mkdir(parents=True)
    fill = f'mount -t tmpfs -o size=2m tmpfs {media} && head -c 1500k /dev/zero > {media}/fill && exec "$@"'
    found = look(KEY, *mounting(), "sh", "-c", fill, "sh", DARKROOM)["media directory"]
    assert (found.detail, found.hint) == (f"{media} has no room left: its disk is full", "Make room there.")


def test_8_a_port_that_another_program_has(look: Look) -> None:
    with answering(b"<html>not ours</html>") as port:
        found = look(DARKROOM_PORT=str(port))["gateway"]
    assert found.detail == f"something else answers at 127.0.0.1:{port}"
    assert "DARKROOM_PORT" in found.hint


def test_8b_a_port_whose_program_speaks_no_http_or_nothing(look: Look) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def babble() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        threading.Thread(target=babble, daemon=True).start()
        spoken = look(DARKROOM_PORT=str(port))["gateway"]
        silent = look(DARKROOM_PORT=str(port))["gateway"]
    assert spoken.detail == f"something else answers at 127.0.0.1:{port}"
    assert silent.detail == f"something at 127.0.0.1:{port} does not answer in time"


@pytest.mark.real_redis
async def test_7_and_11_no_worker_and_a_clock_that_is_wrong(look: Look) -> None:
    async with serving() as url:
        wrong = look(KEY, sys.executable, "-c", AHEAD, DARKROOM_REDIS_URL=url)
    assert {"worker", "clock"} <= wrong.keys()
    assert re.fullmatch(r"-(89|90|91)\.\d s from Redis", wrong["clock"].detail)
    assert wrong["clock"].hint == "Set it with NTP."
    assert wrong["worker"].detail == "0 running"
    assert "darkroom worker" in wrong["worker"].hint


def test_12_an_unknown_provider(look: Look) -> None:
    wrong = look(NOBODY)
    assert "'nobody': use openrouter or aihubmix" in wrong["config"].detail
