"""Throw-away environments: a venv or a node_modules for one client, in a folder that goes again."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tests.clients.table import Client, Language
from tests.support.nanobot.venv import ENVIRONMENT, uv

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"
NPM = "npm install --no-save --no-package-lock --no-audit --no-fund --ignore-scripts"
PATIENCE_S = 600


class NotInstalled(Exception):
    """Raised when a client could not be installed; the message says why."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A client that is installed."""

    client: Client
    folder: Path

    @property
    def python(self) -> Path:
        """Tell where its Python is: ours, if it has none of its own."""
        return self.folder / "bin" / "python" if self.client.language is Language.PYTHON else Path(sys.executable)

    @property
    def version(self) -> str:
        """Tell the client's version."""
        return self.client.version or version(self.client.packages[0])

    def command(self, what: str) -> list[str]:
        """Tell how the program is told to do something."""
        if self.client.language is Language.NODE:
            return ["node", self.client.program, what]
        return [str(self.python), "-m", f"tests.clients.programs.{Path(self.client.program).stem}", what]

    def variables(self, **more: str) -> dict[str, str]:
        """Tell the environment variables of its programs, whose home is its own."""
        return {**ENVIRONMENT, "HOME": str(self.folder), "PYTHONPATH": str(ROOT), **self.client.environment, **more}


async def install(client: Client, folder: Path) -> Environment:
    """Install a client into an empty folder. Raises NotInstalled."""
    await asyncio.to_thread(_INSTALL[client.language], client, folder)
    return Environment(client, folder)


def _nothing(client: Client, folder: Path) -> None:
    pass


def _venv(client: Client, folder: Path) -> None:
    try:
        uv("venv", "--clear", str(folder), "--python", sys.executable)
        excludes = folder / "excludes.txt"
        excludes.write_text("\n".join(client.without))
        options = ("--python", str(folder / "bin" / "python"), "--excludes", str(excludes))
        uv("pip", "install", *options, *client.packages)
    except AssertionError as error:
        raise NotInstalled(str(error)) from error


def _node_modules(client: Client, folder: Path) -> None:
    if missing := [tool for tool in ("node", "npm") if shutil.which(tool) is None]:
        raise NotInstalled(f"no {missing[0]}")
    command = [*NPM.split(), *client.packages]
    done = subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    if done.returncode:
        raise NotInstalled(done.stderr)
    for program in PROGRAMS.glob("*.mjs"):
        shutil.copy(program, folder)


_INSTALL = {Language.OURS: _nothing, Language.PYTHON: _venv, Language.NODE: _node_modules}
