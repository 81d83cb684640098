"""What the systemd unit of a worker promises."""

from __future__ import annotations

import tomllib
from pathlib import Path

from contract.knobs import Knobs

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy/systemd/darkroom-worker@.service"


def promises() -> dict[str, str]:
    """Read the systemd unit; no setting stands there twice."""
    lines = (line.strip() for line in UNIT.read_text().splitlines())
    pairs = [line.partition("=")[::2] for line in lines if line and line[0] not in "#["]
    assert len({name for name, _ in pairs}) == len(pairs)
    return dict(pairs)


def test_systemd_starts_a_worker_again_however_and_however_often_it_ended() -> None:
    unit = promises()
    assert (unit["Restart"], unit["StartLimitIntervalSec"]) == ("always", "0")
    assert float(unit["RestartSec"]) <= 5
    program, argument = unit["ExecStart"].split()
    assert Path(program).name in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert argument == "worker"


def test_systemd_gives_running_jobs_their_time() -> None:
    unit = promises()
    assert float(unit["TimeoutStopSec"]) >= Knobs.model_fields["drain_seconds"].default + 10
    assert (unit["KillSignal"], unit["KillMode"]) == ("SIGTERM", "mixed")


def test_systemd_lets_a_worker_do_no_more_than_it_must() -> None:
    unit = promises()
    assert (unit["LimitCORE"], unit["UMask"], unit["MemoryMax"]) == ("0", "0077", "1G")
    assert (unit["NoNewPrivileges"], unit["ProtectSystem"], unit["ProtectHome"]) == ("yes", "strict", "read-only")
    writable = {Path(path).relative_to("/home/%i/.nanobot").as_posix() for path in unit["ReadWritePaths"].split()}
    assert writable == {"media", "darkroom"}
    assert unit["EnvironmentFile"] == "-/home/%i/.nanobot/darkroom.env"
