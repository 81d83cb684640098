"""What the command line says before anything runs."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from producer import cli


def test_without_its_extra_the_gateway_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "has_gateway", lambda: False)
    done = CliRunner().invoke(cli.app, ["gateway"])
    assert done.exit_code == 2
    assert "pip install 'nanobot-darkroom[gateway]'" in done.stderr
