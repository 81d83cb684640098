"""What a part says where its extra is not installed, before anything runs."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError

import pytest
from typer.testing import CliRunner

from contract.settings import extras
from producer.cli import main

COMMANDS = [
    ("up", "worker"),
    ("worker", "worker"),
    ("demo", "worker"),
    ("gateway", "gateway"),
    ("mcp", "gateway"),
    ("flower", "flower"),
]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The only packages that are installed, and their versions."""
    there: dict[str, str] = {}

    def version(name: str) -> str:
        try:
            return there[name]
        except KeyError as error:
            raise PackageNotFoundError(name) from error

    monkeypatch.setattr(extras, "version", version)
    return there


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("command", "extra"), COMMANDS)
def test_without_its_extra_a_command_says_what_to_install(command: str, extra: str) -> None:
    done = CliRunner().invoke(main.app, [command])
    assert (done.exit_code, done.stderr.count("Error: ")) == (2, 1)
    said = " ".join(done.stderr.split())
    assert said.startswith(f"Error: darkroom {command}: needs the extra [{extra}], which is not installed here (")
    assert f"in a clone of Darkroom, `pip install '.[{extra}]'`" in said


@pytest.mark.parametrize(("command", "extra"), COMMANDS)
def test_in_nanobots_environment_nothing_is_told_that_would_break_it(
    command: str, extra: str, installed: dict[str, str]
) -> None:
    installed |= {"nanobot-ai": "0.3.5", "mcp": "1.30.0", "httpx": "0.28.1", "fastapi": "0.120.0"}
    done = CliRunner().invoke(main.app, [command])
    said = " ".join(done.stderr.split())
    assert done.exit_code == 2
    assert f"[{extra}]" in said
    assert "is nanobot's environment, which only takes the plugin" in said
    assert f"pip install '.[{extra}]'" not in said


def test_an_extra_in_another_version_is_lacking(installed: dict[str, str]) -> None:
    assert {"mcp", "fastapi"} <= set(extras.lacking("gateway"))
    installed |= {"mcp": "1.30.0", "fastapi": "0.121.0"}
    assert "mcp" in extras.lacking("gateway")
    assert "fastapi" not in extras.lacking("gateway")
    installed["mcp"] = "2.1.0"
    assert "mcp" not in extras.lacking("gateway")


@pytest.mark.parametrize("extra", ["worker", "gateway", "flower", "embedded", "heic"])
def test_here_everything_is_installed(extra: str) -> None:
    assert extras.lacking(extra) == []
    extras.check_extra(extra, part="a part")


@pytest.mark.usefixtures("installed")
def test_what_was_not_installed_at_all_is_left_to_its_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    def requires(name: str) -> list[str]:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(extras, "requires", requires)
    assert extras.lacking("worker") == []
