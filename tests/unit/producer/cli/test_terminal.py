"""What a terminal shows of a job's story, and how the commands are described."""

import inspect
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from contract.jobs.job import JobEvent
from contract.jobs.request import JobRequest
from producer.cli.job_commands import edit, generate, submit
from producer.cli.main import app
from producer.cli.options import GenerateOptions
from producer.cli.terminal import _tell

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
TOLD: dict[str, tuple[dict[str, object], str]] = {
    "attempt": ({"index": 1, "rung": 0, "provider": "openrouter", "image_size": "2K"}, "image 2 at 2K."),
    "retry": ({"index": 0, "text": "2K was cut off, trying again"}, "2K was cut off, trying again."),
    "fallback": ({"index": 0, "text": "2K timed out after 120 s, trying 1K"}, "2K timed out after 120 s, trying 1K."),
    "waiting": ({"text": "Waiting 40 s, as openrouter asks."}, "Waiting 40 s, as openrouter asks."),
    "unused": ({"index": 0, "text": "2 more images of the answers were not used."}, "were not used."),
    "image": ({"index": 0, "image": "img_0123456789ab"}, "Image 1 is there."),
}


@pytest.mark.parametrize("kind", TOLD)
@pytest.mark.parametrize("plain", [True, False], ids=["log", "terminal"])
def test_what_happens_is_told_in_words(kind: str, plain: bool, capsys: pytest.CaptureFixture[str]) -> None:
    more, words = TOLD[kind]
    _tell(JobEvent.model_validate({"type": kind, "at": NOW, **more}), plain=plain)
    said = capsys.readouterr()
    assert said.err.strip().endswith(words)
    assert said.out == ""


@pytest.mark.parametrize("kind", ["queued", "running"])
def test_where_a_line_shows_the_state_it_is_not_told_twice(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    _tell(JobEvent(type=kind, at=NOW), plain=False)
    assert capsys.readouterr().err == ""
    _tell(JobEvent(type=kind, at=NOW), plain=True)
    assert capsys.readouterr().err != ""


@pytest.mark.parametrize("command", [submit, generate, edit])
def test_all_commands_that_make_something_have_the_options_of_an_order(command: object) -> None:
    assert callable(command)
    names = list(inspect.signature(command).parameters)
    shared = [*JobRequest.model_fields, "conversation", "idempotency_key", "owner"]
    assert names[: len(shared)] == shared
    assert "order" not in names


def test_a_relative_path_starts_where_the_terminal_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("fox.png", "latest", "img_0123456789ab"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    odd = ["latest", "img_0123456789ab", "absent.png", "", "x" * 5000, "~nobody-at-all/fox.png"]
    assert GenerateOptions({"reference_images": ["fox.png", *odd]}).references() == [str(tmp_path / "fox.png"), *odd]


@pytest.mark.parametrize("command", ["submit", "generate", "edit"])
def test_help_describes_every_option(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"}).stdout
    for option in ("--count", "-n", "--fallback", "--attempt-timeout", "--deadline", "--idempotency-key", "--json"):
        assert option in shown
    assert ("--timeout" in shown.replace("--attempt-timeout", "")) is (command != "submit")
