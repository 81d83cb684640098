"""Darkroom and nanobot live in one environment: what the one needs, the other bears."""

from __future__ import annotations

import subprocess

import pytest

from tests.support.nanobot.venv import NANOBOT, OLDEST_NANOBOT, Venvs, uv

LOADING = """
import sys, time
import nanobot.agent.loop, nanobot.agent.tools.image_generation
from importlib.metadata import entry_points
before = set(sys.modules)
began = time.perf_counter()
loaded = [entry.load() for entry in entry_points(group="nanobot.tools")]
took = time.perf_counter() - began
print(*[tool.__name__ for tool in loaded])
heavy = {"celery", "kombu", "PIL", "redis", "pydantic_settings", "fastapi", "starlette", "httpx", "mcp", "cryptography"}
print(*heavy & (set(sys.modules) - before))
print(took)
"""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("version", [OLDEST_NANOBOT, NANOBOT])
def test_they_agree_about_what_they_need(venvs: Venvs, version: str) -> None:
    venv = venvs.get(version, with_darkroom=True)
    uv("pip", "check", "--python", str(venv.python))
    imports = "import nanobot.cli.commands, producer.client.client, producer.cli.main; print(nanobot.__version__)"
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


STRANGER = """
import sys
import nanobot.agent.loop, nanobot.agent.tools.image_generation as own
{change}
from importlib.metadata import entry_points
enabled = own.ImageGenerationTool.enabled
print([entry.load() for entry in entry_points(group="nanobot.tools")], enabled == own.ImageGenerationTool.enabled)
"""


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "change",
    [
        "sys.modules['nanobot.runtime_context'] = None",
        "del own.reload_image_generation_tool",
        "import nanobot.agent.tools.registry as registry; del registry.ToolRegistry",
    ],
)
def test_a_nanobot_that_it_does_not_fit_is_left_as_it_is_in_one_line(venvs: Venvs, change: str) -> None:
    command = [str(venvs.get(NANOBOT, with_darkroom=True).python), "-c", STRANGER.format(change=change)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[None, None, None] True"
    [line] = done.stderr.splitlines()
    assert f"Darkroom: its plugin does not fit nanobot {NANOBOT}, which stays as it is" in line
