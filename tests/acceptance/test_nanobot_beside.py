"""Darkroom and nanobot live in one environment: what the one needs, the other bears."""

from __future__ import annotations

import subprocess

import pytest
from guest.venv import NANOBOT, OLDEST_NANOBOT, Venvs, uv

LOADING = """
import sys, time
import nanobot.agent.loop, nanobot.agent.tools.image_generation
from importlib.metadata import entry_points
before = set(sys.modules)
began = time.perf_counter()
loaded = [entry.load() for entry in entry_points(group="nanobot.tools")]
took = time.perf_counter() - began
print(*[tool.__name__ for tool in loaded])
print(*{"celery", "kombu", "PIL", "redis", "pydantic_settings"} & (set(sys.modules) - before))
print(took)
"""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("version", [OLDEST_NANOBOT, NANOBOT])
def test_they_agree_about_what_they_need(venvs: Venvs, version: str) -> None:
    venv = venvs.get(version, with_darkroom=True)
    uv("pip", "check", "--python", str(venv.python))
    imports = "import nanobot.cli.commands, producer.client, producer.cli; print(nanobot.__version__)"
    told = subprocess.run([venv.python, "-c", imports], capture_output=True, text=True, timeout=60, check=True)
    assert told.stdout.strip() == version


@pytest.mark.timeout(300)
@pytest.mark.parametrize("version", [OLDEST_NANOBOT, NANOBOT])
def test_nothing_heavy_is_imported_while_nanobot_starts(venvs: Venvs, version: str) -> None:
    venv = venvs.get(version, with_darkroom=True)
    told = subprocess.run([venv.python, "-c", LOADING], capture_output=True, text=True, timeout=60, check=True).stdout
    names, heavy, seconds = told.splitlines()
    print(f"nanobot {version}: the plugin is imported in {1000 * float(seconds):.0f} ms")
    assert set(names.split()) == {"GenerateImage", "ImageJobStatus", "CancelImageJob"}
    assert heavy == ""
