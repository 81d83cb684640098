"""What the command line says before anything runs."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from producer import cli


@pytest.mark.parametrize("command", ["gateway", "mcp"])
def test_without_its_extra_a_command_says_what_to_install(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "has_gateway", lambda: False)
    done = CliRunner().invoke(cli.app, [command])
    assert done.exit_code == 2
    assert "pip install 'nanobot-darkroom[gateway]'" in done.stderr
