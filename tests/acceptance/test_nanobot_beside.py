"""Darkroom and nanobot live in one environment: what the one needs, the other bears."""

from __future__ import annotations

import subprocess

import pytest
from guest.venv import NANOBOT, OLDEST_NANOBOT, Venvs, uv


@pytest.mark.timeout(300)
@pytest.mark.parametrize("version", [OLDEST_NANOBOT, NANOBOT])
def test_they_agree_about_what_they_need(venvs: Venvs, version: str) -> None:
    venv = venvs.get(version, with_darkroom=True)
    uv("pip", "check", "--python", str(venv.python))
    imports = "import nanobot.cli.commands, producer.client, producer.cli; print(nanobot.__version__)"
    told = subprocess.run([venv.python, "-c", imports], capture_output=True, text=True, timeout=60, check=True)
    assert told.stdout.strip() == version
