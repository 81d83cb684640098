"""Throw-away venvs with the real nanobot, each made once for all the processes of a test run.

They come from the index that this machine is configured with; where pip is configured, uv is told the same. Each is
installed anew; the bytecode of modules that an earlier one has imported is linked into it, as compiling takes seconds.
"""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NANOBOT = "0.3.5"
OLDEST_NANOBOT = "0.3.0"
TOO_OLD_NANOBOT = "0.2.2"
PATIENCE_S = 300
WITH_PIP = "with-pip"
# What nanobot imports sooner or later.
USED = ("dulwich.porcelain", "mcp", "nanobot.cli.commands", "openai.resources", "requests")
UV_FOR_PIP = {"index-url": "UV_DEFAULT_INDEX", "find-links": "UV_FIND_LINKS", "cert": "SSL_CERT_FILE"}
ENVIRONMENT = dict(os.environ)  # with the home of who runs the tests, where packages are cached


@dataclass(frozen=True)
class Venv:
    """An environment with nanobot in it, of a version."""

    folder: Path
    version: str = NANOBOT

    @property
    def python(self) -> Path:
        """Tell where its Python is."""
        return self.folder / "bin" / "python"

    @property
    def darkroom(self) -> Path:
        """Tell where the command of Darkroom is."""
        return self.folder / "bin" / "darkroom"

    @property
    def nanobot(self) -> Path:
        """Tell where its command is."""
        return self.folder / "bin" / "nanobot"


class Venvs:
    """Makes the environments below a folder that all processes of a test run share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def get(self, version: str = NANOBOT, *, with_darkroom: bool = False) -> Venv:
        """Make an environment, with Darkroom's wheel or without, or find the one that was made before.

        Where nanobot cannot be fetched a laptop skips and CI fails.
        """
        name = f"{version}-{'with' if with_darkroom else 'without'}-darkroom"
        return self._find(Venv(self.folder / name, version), f"nanobot-ai=={version}", with_darkroom=with_darkroom)

    def with_pip(self) -> Venv:
        """Make an environment with nanobot and a pip that may install more into it, or find it."""
        return self._find(Venv(self.folder / WITH_PIP), f"nanobot-ai=={NANOBOT}", "pip", with_darkroom=False)

    def only_darkroom(self) -> Venv:
        """Make an environment with Darkroom's base install and nothing else, or find it."""
        return self._find(Venv(self.folder / "only-darkroom", ""), with_darkroom=True)

    def _find(self, venv: Venv, *packages: str, with_darkroom: bool) -> Venv:
        with (self.folder / f"{venv.folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            made = venv.folder / ".made"
            if not made.exists():
                began = time.monotonic()
                wheels = [str(self._wheel())] if with_darkroom else []
                _make(venv, *packages, *wheels)
                self._lend_bytecode(venv)
                made.touch()
                print(f"{venv.folder.name}: made in {time.monotonic() - began:.1f} s")
        return venv

    def _lend_bytecode(self, venv: Venv) -> None:
        """Have the modules of the first nanobot compiled once, though several of it may start at a time."""
        # Tests install more into the one with pip meanwhile.
        others = [made.parent for made in self.folder.glob("*/.made") if made.parent.name != WITH_PIP]
        for other in others:
            link_bytecode(other, venv.folder)
        if venv.version and not others:
            _run({}, str(venv.python), "-c", f"import {', '.join(USED)}")

    def _wheel(self) -> Path:
        folder = self.folder / "wheel"
        with (self.folder / "wheel.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (wheels := list(folder.glob("*.whl"))):
                _run({}, sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder))
                wheels = list(folder.glob("*.whl"))
        [wheel] = wheels
        return wheel


def link_bytecode(source: Path, target: Path) -> None:
    """Link what one environment has compiled into another; Python compiles again what is of another module or time."""
    for compiled in source.glob("lib/python*/site-packages/**/__pycache__/*.pyc"):
        place = target / compiled.relative_to(source)
        if place.parent.parent.is_dir() and not place.exists():
            place.parent.mkdir(exist_ok=True)
            place.hardlink_to(compiled)


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """Find the temporary folder that all processes of this test run have in common."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def _make(venv: Venv, *packages: str) -> None:
    uv("venv", "--clear", str(venv.folder), "--python", sys.executable)
    try:
        uv("pip", "install", "--python", str(venv.python), *packages)
    except AssertionError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"nanobot could not be installed: {error}")


def _configured() -> dict[str, str]:
    told = _run({}, sys.executable, "-m", "pip", "config", "list")
    pairs = re.findall(r"^[\w:]+\.([a-z-]+)='(.*)'$", told, re.MULTILINE)  # the environment's come first
    return {UV_FOR_PIP[name]: value for name, value in reversed(pairs) if name in UV_FOR_PIP}


def uv(*arguments: str) -> None:
    """Run uv, which must succeed."""
    _run(_configured(), str(Path(sys.executable).parent / "uv"), "--quiet", "--no-progress", *arguments)


def _run(more: Mapping[str, str], *command: str) -> str:
    done = subprocess.run(
        command, cwd=ROOT, env={**more, **ENVIRONMENT}, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
