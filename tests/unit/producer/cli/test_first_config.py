"""What `darkroom config init` writes, and what it leaves alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from contract.provider_specs import SPECS, ProviderSpec
from contract.settings.loader import load_settings
from producer.cli.first_config import first_config
from producer.cli.main import app

ROOT = Path(__file__).parents[4]
README, PROVIDERS = ROOT / "README.md", ROOT / "docs/reference/providers.md"


@pytest.mark.parametrize("provider", SPECS.values(), ids=SPECS)
def test_the_example_is_read_as_it_is_written(
    provider: ProviderSpec, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = home / ".nanobot/config.json"
    done = CliRunner().invoke(app, ["config", "init", "--provider", provider.name])
    assert (done.exit_code, done.stdout.strip()) == (0, str(path))
    assert (f"export {provider.key_variable}=" in done.stderr) is provider.needs_key
    assert path.stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv(provider.key_variable, "k")
    settings = load_settings()
    assert (settings.image.provider, settings.config_path) == (provider.name, path)


def examples(page: Path) -> list[object]:
    """Read the JSON that a page shows."""
    return [json.loads(code) for code in re.findall(r"^```json\n(\{.*?)^```$", page.read_text(), re.M | re.S)]


def test_the_readme_shows_the_first_example_and_its_page_each() -> None:
    default, *_ = SPECS.values()
    assert first_config(default) in examples(README)
    assert [provider.name for provider in SPECS.values() if first_config(provider) not in examples(PROVIDERS)] == []


@pytest.mark.parametrize("is_link", [False, True], ids=["file", "link to nowhere"])
def test_what_is_there_stays_as_it_is(is_link: bool, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.symlink_to(tmp_path / "elsewhere") if is_link else path.write_text("mine")
    done = CliRunner().invoke(app, ["config", "init"], env={"DARKROOM_CONFIG": str(path)})
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"{path} already exists" in done.stderr
    assert not (tmp_path / "elsewhere").exists()
    assert is_link or path.read_text() == "mine"


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = CliRunner().invoke(app, ["config", "init"], env={"DARKROOM_CONFIG": str(tmp_path / "file/config.json")})
    assert done.exit_code == 2
    assert "cannot be written" in done.stderr
