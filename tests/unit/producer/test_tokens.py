"""Tokens: told once, kept as digests, for the owner's eyes; many may change the file at once."""

import hmac
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from contract.errors.exceptions import ConfigInvalid, Refused
from producer.tokens import DEFAULT_RIGHTS, FIRST, Right, Tokens, first_token


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "darkroom" / "tokens.json"


@pytest.fixture
def tokens(path: Path) -> Tokens:
    return Tokens(path)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds since the start of something; the test may move them."""
    now = [1000.0]
    monkeypatch.setattr("producer.tokens.time.monotonic", lambda: now[0])
    return now


def refusal(tokens: Tokens, name: str, user: str | None = None) -> str:
    with pytest.raises(Refused) as caught:
        tokens.create(name, user)
    return caught.value.code


def test_a_token_is_found_by_its_text_which_is_kept_nowhere(tokens: Tokens, path: Path) -> None:
    text = tokens.create("ci")
    found = tokens.find(text)
    assert found
    assert (found.name, found.user, found.rights, found.expires_at) == ("ci", "ci", DEFAULT_RIGHTS, None)
    assert text.startswith("dk_")
    assert len(text) == 46
    assert text not in path.read_text()
    assert "sha256" not in repr(found)


def test_a_token_may_be_for_somebody_else_with_other_rights(tokens: Tokens) -> None:
    found = tokens.find(tokens.create("web", "chat@home", (Right.USERS, Right.READ)))
    assert found
    assert (found.user, sorted(found.rights)) == ("chat@home", [Right.READ, Right.USERS])
    assert tokens.list() == (found,)


@pytest.mark.parametrize("name", ["", "a/b", "a b", "ä", "a\n", "a" * 65, "a\0"], ids=repr)
def test_names_of_tokens_and_users_are_plain(name: str, tokens: Tokens) -> None:
    assert refusal(tokens, name) == refusal(tokens, "ci", name) == "token_name_invalid"
    assert not tokens.exists()


def test_a_name_is_used_once(tokens: Tokens) -> None:
    tokens.create("ci")
    assert refusal(tokens, "ci") == "token_exists"
    assert len(tokens.list()) == 1


def test_a_revoked_token_is_found_no_more(tokens: Tokens) -> None:
    gone, kept = tokens.create("gone"), tokens.create("kept")
    tokens.revoke("gone")
    assert tokens.find(gone) is None
    assert tokens.find(kept)
    with pytest.raises(Refused, match="no token named gone"):
        tokens.revoke("gone")


def test_b50_a_token_ends_with_its_time(tokens: Tokens) -> None:
    assert tokens.find(tokens.create("long", expires_in_s=60))
    assert tokens.find(tokens.create("over", expires_in_s=-1)) is None
    assert [token.is_expired for token in tokens.list()] == [False, True]


def test_b49_what_cannot_be_a_token_is_not_looked_for(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    text = tokens.create("ci")
    assert [tokens.find(wrong) for wrong in ("", text[:-1], text + "x", text.upper())] == [None] * 4
    monkeypatch.setattr("producer.tokens._digest", lambda _: pytest.fail("was hashed"))
    assert [tokens.find(wrong) for wrong in ("x" * 201, "dk_ä", "\ud800", "x" * 2**20)] == [None] * 4


def test_b49_all_digests_are_compared_in_constant_time(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [tokens.create(name) for name in "abc"]
    compared: list[str] = []
    compare = hmac.compare_digest

    def note(ours: str, theirs: str) -> bool:
        compared.append(ours)
        return compare(ours, theirs)

    monkeypatch.setattr("producer.tokens.hmac.compare_digest", note)
    for text in (*texts, "dk_unknown"):
        tokens.find(text)
    assert compared == [token.sha256 for token in tokens.list()] * 4


def test_a_running_gateway_knows_a_new_token_at_once_and_other_changes_within_a_second(
    tokens: Tokens, path: Path, clock: list[float]
) -> None:
    assert tokens.find("dk_nothing") is None
    other = Tokens(path)
    text = other.create("new")
    assert tokens.find("dk_nothing") is None
    assert tokens.find(text)
    other.revoke("new")
    clock[0] += 1
    assert tokens.find(text) is None
    text = other.create("newer")
    path.unlink()
    clock[0] += 1
    assert tokens.find(text) is None


def test_a_file_that_did_not_change_is_not_read_again(
    tokens: Tokens, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = tokens.create("ci")
    assert tokens.find(text)
    monkeypatch.setattr(tokens, "_read", lambda: pytest.fail("was read"))
    for _ in range(3):
        clock[0] += 1
        assert tokens.find(text)


def test_the_file_is_for_its_owner_alone(tokens: Tokens, path: Path, clock: list[float]) -> None:
    umask = os.umask(0)
    try:
        text = tokens.create("ci")
    finally:
        os.umask(umask)
    assert [entry.stat().st_mode & 0o777 for entry in (path, path.parent)] == [0o600, 0o700]
    assert tokens.find(text)
    path.chmod(0o640)
    clock[0] += 1
    for use in (tokens.list, lambda: tokens.find(text), lambda: tokens.create("b"), lambda: tokens.revoke("ci")):
        with pytest.raises(ConfigInvalid, match="others may read or write it"):
            use()


TOKEN = {"name": "a", "sha256": "0" * 64, "user": "a", "rights": ["read"], "created_at": "2026-11-22T10:00:00Z"}


def test_what_a_newer_version_has_added_allows_nothing_and_stays_in_the_file(path: Path) -> None:
    newer = TOKEN | {"rights": ["read", "root"], "colour": "red"}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o600)
    path.write_text(json.dumps({"tokens": [newer], "format": 2}))
    tokens = Tokens(path)
    text = tokens.create("b", rights=[Right.READ])
    found = tokens.find(text)
    assert found
    assert Right.READ in found.rights
    assert Right.SUBMIT not in tokens.list()[0].rights
    kept = json.loads(path.read_text())
    assert kept["format"] == 2
    assert {name: kept["tokens"][0][name] for name in ("rights", "colour")} == {
        "rights": ["read", "root"],
        "colour": "red",
    }


@pytest.mark.parametrize(
    "tokens",
    [
        [TOKEN, TOKEN],
        [TOKEN | {"user": "a/b"}],
        [TOKEN | {"sha256": "0"}],
        [TOKEN | {"rights": [1]}],
        [TOKEN | {"created_at": "2026-11-22T10:00:00"}],
        None,
    ],
    ids=["twice", "user", "digest", "right", "time", "none"],
)
def test_a_file_that_is_wrong_is_told(tokens: object, tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    path.write_text(json.dumps({"tokens": tokens}))
    path.chmod(0o600)
    with pytest.raises(ConfigInvalid, match="is not a valid file of tokens"):
        Tokens(path).find("dk_x")


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(ConfigInvalid, match=r"is not a file|cannot be read"):
            Tokens(path).list()
    (tmp_path / "plain").touch()
    with pytest.raises(ConfigInvalid, match="cannot be written"):
        Tokens(tmp_path / "plain" / "tokens.json").create("ci")


def test_threads_that_create_at_once_lose_nothing(path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        texts = list(threads.map(lambda number: Tokens(path).create(f"t{number}"), range(40)))
    tokens = Tokens(path)
    assert all(tokens.find(text) for text in texts)
    assert sorted(entry.name for entry in path.parent.iterdir()) == [".tokens.json.lock", "tokens.json"]


def test_processes_that_create_at_once_lose_nothing(path: Path) -> None:
    script = """if True:
        import sys; from pathlib import Path; from producer.tokens import Tokens
        for number in range(10): Tokens(Path(sys.argv[1])).create(f"{sys.argv[2]}-{number}")
    """
    running = [subprocess.Popen([sys.executable, "-c", script, path, name]) for name in "abc"]
    assert [process.wait(30) for process in running] == [0, 0, 0]
    assert {token.name for token in Tokens(path).list()} == {f"{name}-{n}" for name in "abc" for n in range(10)}


def test_the_first_token_is_made_once(path: Path) -> None:
    tokens = Tokens(path)
    text = first_token(tokens, "ada")
    assert text
    found = tokens.find(text)
    assert found
    assert (found.name, found.user) == (FIRST, "ada")
    assert found.rights == {Right.READ, Right.SUBMIT, Right.PATHS}
    assert first_token(tokens, "ada") is None
    tokens.revoke(FIRST)
    assert first_token(tokens, "ada") is None  # the owner has taken it away


def test_of_two_gateways_that_start_at_once_one_makes_the_first_token(
    tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert first_token(tokens, "ada")
    monkeypatch.setattr(tokens, "exists", lambda: False)
    assert first_token(tokens, "ada") is None


def test_who_has_a_name_that_no_token_can_have_gets_no_first_one(tokens: Tokens) -> None:
    assert first_token(tokens, "cli:DOMAIN\\ann") is None
    assert not tokens.exists()
