"""`pip install .`, alone and beside nanobot: each part says in a sentence what it lacks; a doctor looks at nanobot."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

import darkroom
from tests.support.nanobot.venv import NANOBOT, TOO_OLD_NANOBOT, Venv, Venvs

pytestmark = pytest.mark.timeout(300)  # nanobot may have to be fetched

PARTS = {
    "up": "worker",
    "up --demo": "worker",
    "worker": "worker",
    "demo": "worker",
    "gateway": "gateway",
    "mcp": "gateway",
    "flower": "flower",
}
MODULES = {"worker": "worker", "producer.api": "gateway"}


def run(home: Path, *command: str | Path, code: int, **environment: str) -> str:
    """Run a command in an empty home to its end, which must be this one; what it printed as errors."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    done = subprocess.run(
        command,
        cwd=home,
        env={**kept, "HOME": str(home), "COLUMNS": "1000", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stderr or done.stdout


@pytest.mark.parametrize("part", PARTS)
def test_each_part_says_in_a_sentence_what_it_lacks(venvs: Venvs, part: str, tmp_path: Path) -> None:
    told = run(tmp_path, venvs.only_darkroom().darkroom, *part.split(), code=2)
    [line] = told.splitlines()
    assert line.startswith("Error: darkroom ")
    assert f"needs the extra [{PARTS[part]}], which is not installed here (" in line
    assert f"in a clone of Darkroom, `pip install '.[{PARTS[part]}]'`" in line
    assert list(tmp_path.iterdir()) == [], "nothing was begun"


@pytest.mark.parametrize("module", MODULES)
def test_so_do_their_modules(venvs: Venvs, module: str, tmp_path: Path) -> None:
    [line] = run(tmp_path, venvs.only_darkroom().python, "-m", module, code=2).splitlines()
    assert f"needs the extra [{MODULES[module]}]" in line


@pytest.mark.parametrize("part", PARTS)
def test_in_nanobots_environment_they_say_nothing_that_would_break_it(venvs: Venvs, part: str, tmp_path: Path) -> None:
    venv = venvs.get(NANOBOT, with_darkroom=True)
    [line] = run(tmp_path, venv.darkroom, *part.split(), code=2).splitlines()
    assert f"needs the extra [{PARTS[part]}], which is not installed here (" in line
    assert f"{venv.folder} is nanobot's environment, which only takes the plugin" in line
    assert "[gateway]'" not in line
    assert "`pip install" not in line


@pytest.mark.parametrize("beside", ["nothing", "nanobot"])
def test_python_finds_the_public_import(venvs: Venvs, beside: str, tmp_path: Path) -> None:
    venv = venvs.only_darkroom() if beside == "nothing" else venvs.get(NANOBOT, with_darkroom=True)
    asked = "import darkroom; print(sorted(vars(darkroom).keys() & set(darkroom.__all__)), darkroom.__file__)"
    told = run(tmp_path, venv.python, "-W", "error", "-c", asked, code=0)
    assert told.startswith(f"{sorted(darkroom.__all__)} {venv.folder.resolve()}/lib/")


def test_the_rest_of_the_command_works(venvs: Venvs, tmp_path: Path) -> None:
    darkroom = venvs.only_darkroom().darkroom
    nowhere = {"DARKROOM_REDIS_URL": "redis://127.0.0.1:1/0", "OPENROUTER_API_KEY": "canary"}
    (tmp_path / "config.json").write_text('{"providers": {"openrouter": {"apiKey": "${OPENROUTER_API_KEY}"}}}')
    config = ("--config", "config.json")
    assert "is valid" in run(tmp_path, darkroom, *config, "config", "check", code=0, **nowhere)
    for command in ("generate fox", "submit fox", "list", "status 9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d"):
        assert "does not answer" in run(tmp_path, darkroom, *config, *command.split(), code=69, **nowhere)
    assert "token create" in run(tmp_path, darkroom, *config, "doctor", code=1, **nowhere)


def diagnosed(home: Path, doctor: Venv, nanobot: Path, **environment: str) -> dict[str, dict[str, Any]]:
    """Let the doctor look at a nanobot; what he has found, by name."""
    told = run(home, doctor.darkroom, "doctor", "--json", "--nanobot", nanobot, code=1, **environment)
    return {finding["name"]: finding for finding in json.loads(told)}


def write_config(home: Path, *, enabled: bool) -> None:
    """Write the config.json that nanobot and Darkroom find by themselves."""
    (home / ".nanobot").mkdir(exist_ok=True)
    (home / ".nanobot/config.json").write_text(json.dumps({"tools": {"imageGeneration": {"enabled": enabled}}}))


def test_the_doctor_looks_at_a_nanobot(venvs: Venvs, tmp_path: Path) -> None:
    doctor, nanobot = venvs.only_darkroom(), venvs.get(NANOBOT, with_darkroom=True)
    write_config(tmp_path, enabled=False)
    found = diagnosed(tmp_path, doctor, nanobot.python)
    assert (found["nanobot"]["ok"], NANOBOT in found["nanobot"]["detail"]) == (True, True)
    assert (found["plugin"]["ok"], "generate_image" in found["plugin"]["detail"]) == (True, True)
    assert (found["switch"]["ok"], "enabled is false" in found["switch"]["detail"]) == (False, True)
    assert "to true" in found["switch"]["hint"]
    assert (found["nanobot's queue"]["ok"], "darkroom up" in found["nanobot's queue"]["hint"]) == (False, True)

    write_config(tmp_path, enabled=True)
    canary = {"DARKROOM_REDIS_URL": "redis://user:canary@127.0.0.1:1/0"}
    found = diagnosed(tmp_path, doctor, nanobot.folder, **canary)
    assert found["switch"]["ok"]
    assert (found["nanobot's queue"]["ok"], "DARKROOM_REDIS_URL" in found["nanobot's queue"]["detail"]) == (True, True)
    assert "canary" not in str(found)

    found = diagnosed(tmp_path, doctor, nanobot.folder, DARKROOM_PLUGIN="off", **canary)
    assert (found["switch"]["ok"], "DARKROOM_PLUGIN is off" in found["switch"]["detail"]) == (False, True)


def test_the_doctor_says_what_a_nanobot_lacks(venvs: Venvs, tmp_path: Path) -> None:
    doctor = venvs.only_darkroom()
    plain = diagnosed(tmp_path, doctor, venvs.get(NANOBOT).python)
    assert (plain["plugin"]["ok"], "pip install ." in plain["plugin"]["hint"]) == (False, True)
    too_old = diagnosed(tmp_path, doctor, venvs.get(TOO_OLD_NANOBOT, with_darkroom=True).python)
    assert (too_old["plugin"]["ok"], "0.3.0 or newer" in too_old["plugin"]["hint"]) == (False, True)
    for wrong in (doctor.python, tmp_path / "nowhere", Path("/bin/false")):
        finding = diagnosed(tmp_path, doctor, wrong)["nanobot"]
        assert (finding["ok"], "which nanobot" in finding["hint"]) == (False, True)
