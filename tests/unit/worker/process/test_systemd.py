"""What the systemd units of a worker and a gateway promise."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from contract.provider_specs import LONGEST_TIMEOUT_S
from contract.settings.loader import DRAIN_MARGIN_S
from producer.api.server.uvicorn_server import DRAIN_S
from worker.process.graceful_shutdown import LAST_S

ROOT = Path(__file__).parents[4]
UNITS = ("worker", "gateway")


def promises(name: str) -> dict[str, str]:
    """Read a systemd unit; no setting stands there twice."""
    text = (ROOT / f"deploy/systemd/darkroom-{name}@.service").read_text()
    lines = (line.strip() for line in text.splitlines())
    pairs = [line.partition("=")[::2] for line in lines if line and line[0] not in "#["]
    assert len({name for name, _ in pairs}) == len(pairs)
    return dict(pairs)


@pytest.mark.parametrize("name", UNITS)
def test_systemd_starts_it_again_however_and_however_often_it_ended(name: str) -> None:
    unit = promises(name)
    assert (unit["Restart"], unit["StartLimitIntervalSec"]) == ("always", "0")
    assert float(unit["RestartSec"]) <= 5
    program, argument = unit["ExecStart"].split()
    assert Path(program).name in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert argument == name


@pytest.mark.parametrize(
    ("name", "needed_s"),
    [("worker", LONGEST_TIMEOUT_S + DRAIN_MARGIN_S + LAST_S), ("gateway", DRAIN_S + 1)],
)
def test_systemd_gives_what_is_under_way_its_time(name: str, needed_s: float) -> None:
    unit = promises(name)
    assert float(unit["TimeoutStopSec"]) >= needed_s
    assert (unit["KillSignal"], unit["KillMode"]) == ("SIGTERM", "mixed")


@pytest.mark.parametrize("name", UNITS)
def test_systemd_lets_it_do_no_more_than_it_must(name: str) -> None:
    unit = promises(name)
    assert (unit["LimitCORE"], unit["UMask"], unit["MemoryMax"]) == ("0", "0077", "1G")
    assert (unit["NoNewPrivileges"], unit["ProtectSystem"], unit["ProtectHome"]) == ("yes", "strict", "read-only")
    writable = {Path(path).relative_to("/home/%i/.nanobot").as_posix() for path in unit["ReadWritePaths"].split()}
    assert writable == {"media", "darkroom"}
    assert unit["EnvironmentFile"] == "-/home/%i/.nanobot/darkroom.env"


def test_a_gateway_under_systemd_is_shut_in_like_a_worker_and_needs_no_keys() -> None:
    worker, gateway = promises("worker"), promises("gateway")
    different = {"Description", "ExecStart", "Environment", "TimeoutStopSec", "TasksMax"}
    assert {name for name in worker | gateway if worker.get(name) != gateway.get(name)} == different
    assert "DARKROOM_KEYS_ELSEWHERE=true" in gateway["Environment"].split()
