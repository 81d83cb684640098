"""`darkroom doctor --nanobot PYTHON`: has that nanobot the plugin, which switch is set, does it find the queue."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contract.errors.exceptions import ConfigInvalid
from contract.settings.loader import load_settings
from producer.doctor.doctor import Finding

LOOK_S = 60.0
# Run by nanobot's own Python, whose environment may lack all that is imported here.
PROBE = """
import json, sys
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path

def installed(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None

told = {"nanobot": installed("nanobot-ai"), "darkroom": installed("nanobot-darkroom"), "tools": [], "error": None}
try:
    if told["darkroom"]:
        from producer.nanobot import switch
        config = Path(sys.argv[1])
        told["off"], queue = switch.is_off(config), switch.find_queue(config)
        told["queue"] = queue and queue.how
    if told["nanobot"] and told["darkroom"]:
        found = [each for each in entry_points(group="nanobot.tools") if each.dist.name == "nanobot-darkroom"]
        told["tools"] = [each.name for each in found if each.load() is not None]
except Exception as error:
    told["error"] = f"{type(error).__name__}: {error}"
print(json.dumps(told))
"""


def check_nanobot(python: Path, config: Path) -> list[Finding]:
    """Look at the nanobot that a Python, or its environment's folder, runs with a config.json; blocking."""
    python = python / "bin" / "python" if python.is_dir() else python
    try:
        told = _ask(python.absolute(), config.expanduser().absolute())
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        hint = "Give nanobot's own Python: it is in the first line of the file that `which nanobot` prints."
        return [Finding("nanobot", False, f"{python} cannot be run ({type(error).__name__})", hint)]
    return list(_findings(told, python, config.expanduser().absolute()))


def _ask(python: Path, config: Path) -> dict[str, Any]:
    done = subprocess.run(  # noqa: S603 - the Python that the user names
        [python, "-c", PROBE, config], cwd="/", capture_output=True, text=True, timeout=LOOK_S, check=True
    )
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def _findings(told: dict[str, Any], python: Path, config: Path) -> Iterator[Finding]:
    if told["nanobot"] is None:
        hint = (
            "Give the Python of nanobot's environment: it is in the first line of the file that `which nanobot` prints."
        )
        yield Finding("nanobot", False, f"nanobot-ai is not installed for {python}", hint)
        return
    yield Finding("nanobot", True, f"{told['nanobot']}, run by {python}")
    yield _plugin(told, python)
    if told["tools"] and told["error"] is None:
        yield _switch(told, config)
        yield _queue(told, config)


def _plugin(told: dict[str, Any], python: Path) -> Finding:
    if told["darkroom"] is None:
        hint = (
            f"In a clone of Darkroom: {python} -m pip install .   (or `uv pip install --python {python} .`; "
            "with pipx `pipx inject nanobot-ai .`)"
        )
        return Finding("plugin", False, "is not installed with that nanobot", hint)
    if told["error"] or not told["tools"]:
        hint = "Darkroom needs nanobot 0.3.0 or newer; if it is, reinstall both."
        return Finding("plugin", False, f"does not load: {told['error'] or 'nanobot is too old'}", hint)
    return Finding("plugin", True, f"nanobot-darkroom {told['darkroom']}: {', '.join(sorted(told['tools']))}")


def _switch(told: dict[str, Any], config: Path) -> Finding:
    if told["off"]:
        hint = "Remove DARKROOM_PLUGIN from nanobot's environment, or from darkroom.env next to its config.json."
        return Finding("switch", False, "DARKROOM_PLUGIN is off: nanobot's own tool makes the images", hint)
    try:
        enabled = load_settings(config, needs_keys=False).image.enabled if config.exists() else False
    except ConfigInvalid:
        return Finding("switch", False, f"{config} cannot be read", "Fix it, then run doctor again.")
    hint = f"Set tools.imageGeneration.enabled to true in {config}, and restart nanobot."
    detail = f"tools.imageGeneration.enabled is {str(enabled).lower()}"
    return Finding(
        "switch", enabled, detail if enabled else f"{detail}: there is no image tool", "" if enabled else hint
    )


def _queue(told: dict[str, Any], config: Path) -> Finding:
    if told["queue"]:
        return Finding("nanobot's queue", True, f"found by {told['queue']}")
    hint = (
        f"Start `darkroom up` with {config}, or set DARKROOM_REDIS_URL where nanobot runs, also in "
        f"{config.parent / 'darkroom.env'}."
    )
    return Finding("nanobot's queue", False, "none is found, so nanobot's own tool makes the images", hint)
