"""`darkroom token`: the text alone on stdout, everything else in words."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from contract.settings.loader import load_settings
from producer.cli.main import app
from producer.tokens import Right, Tokens
from tests.support.factories.configs import Write


@pytest.fixture(autouse=True)
def path(home: Path, config: Write) -> Path:
    """Where the tokens of a good configuration are."""
    config({"providers": {"openrouter": {"apiKey": "${NOT_SET}"}}})  # tokens need no key
    return home / ".nanobot" / "darkroom" / "tokens.json"


def token(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["token", *arguments])


def test_a_token_is_printed_alone(path: Path) -> None:
    done = token("create", "ci", "--rights", "read, users", "--user", "web", "--days", "3")
    assert (done.exit_code, done.stderr) == (0, "Save it now: it is not shown again.\n")
    found = Tokens(path).find(done.stdout.removesuffix("\n"))
    assert found
    assert (found.user, sorted(found.rights)) == ("web", [Right.READ, Right.USERS])
    assert found.expires_at
    assert (found.expires_at - found.created_at).days == 3


def test_json_tells_all_there_is(path: Path) -> None:
    made = json.loads(token("create", "ci", "--json").stdout)
    text = made.pop("token")
    assert Tokens(path).find(text)
    assert made["rights"] == ["read", "submit"]
    assert json.loads(token("list", "--json").stdout) == [made]
    assert text not in token("list", "--json").output + token("list").output


def test_a_list_is_for_people() -> None:
    token("create", "ci")
    shown = token("list").stdout.split()
    assert shown[:5] == ["name", "user", "rights", "created", "expires"]
    assert (shown[5:8], shown[9]) == (["ci", "ci", "read,submit"], "never")


def test_a_token_is_revoked(path: Path) -> None:
    token("create", "ci")
    done = token("revoke", "ci")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "Revoked.\n")
    assert Tokens(path).list() == ()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("create", "old"), "Error: There is already a token named old."),
        (("create", "a/b"), "1 to 64 letters"),
        (("create", "new", "--user", "a/b"), "1 to 64 letters"),
        (("create", "new", "--rights", "read,root"), "only read, submit, paths, users are supported"),
        (("create", "new", "--rights", ""), "only read, submit, paths, users are supported"),
        (("create", "new", "--days", "0"), "--days"),
        (("revoke", "new"), "Error: There is no token named new."),
    ],
)
def test_what_is_wrong_is_said_in_words(arguments: tuple[str, ...], says: str, path: Path) -> None:
    token("create", "old")
    before = path.read_bytes()
    done = token(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert says in " ".join(done.stderr.split())
    assert path.read_bytes() == before


def test_a_file_that_others_can_read_is_said_in_words(path: Path) -> None:
    token("create", "ci")
    path.chmod(0o644)
    done = token("list")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"Error: {path}: others may read or write it")


@pytest.mark.parametrize(
    ("named", "is_at"), [("/srv/t.json", "/srv/t.json"), ("t.json", ".nanobot/t.json"), ("~/t", "t")]
)
def test_the_file_may_be_elsewhere(named: str, is_at: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_TOKENS", named)
    assert load_settings(needs_keys=False).tokens_path == home / is_at
