"""The installation's secret: one file for all who come at once, for its owner alone, and a key for each purpose."""

import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from contract.errors.exceptions import ConfigInvalid
from contract.settings.installation_secret import FILE, SIZE, InstallationSecret


def test_the_file_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    home = tmp_path / "darkroom"
    first = InstallationSecret(home, None).key("links")
    status = (home / FILE).stat()
    assert (stat.S_IMODE(status.st_mode), status.st_size) == (0o600, SIZE)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert InstallationSecret(home, None).key("links") == first
    assert [path.name for path in home.iterdir()] == [FILE]


def test_nothing_is_made_before_it_is_needed(tmp_path: Path) -> None:
    InstallationSecret(tmp_path, None)
    assert list(tmp_path.iterdir()) == []


def test_of_many_who_make_it_at_once_all_have_the_same_one(tmp_path: Path) -> None:
    for number in range(20):
        home = tmp_path / str(number)
        with ThreadPoolExecutor(16) as pool:
            assert len(set(pool.map(lambda _, home=home: InstallationSecret(home, None).key("links"), range(16)))) == 1
        assert [path.name for path in home.iterdir()] == [FILE]


def test_a_secret_of_the_operator_needs_no_file(tmp_path: Path) -> None:
    given = [InstallationSecret(tmp_path, SecretStr(letter * 32)).key("links") for letter in "aab"]
    assert given[0] == given[1] != given[2]
    assert list(tmp_path.iterdir()) == []


def test_each_purpose_has_a_key_of_its_own(tmp_path: Path) -> None:
    secret = InstallationSecret(tmp_path, None)
    keys = {secret.key(purpose) for purpose in ("links", "webhooks", "webhook-signing", "")}
    assert len(keys) == 4
    assert {len(key) for key in keys} == {32}
    assert (tmp_path / FILE).read_bytes() not in keys


def linked(file: Path) -> None:
    elsewhere = file.with_name("elsewhere")
    elsewhere.write_bytes(bytes(SIZE))
    elsewhere.chmod(0o600)
    file.symlink_to(elsewhere)


def written(size: int, mode: int) -> Callable[[Path], None]:
    def write(file: Path) -> None:
        file.write_bytes(bytes(size))
        file.chmod(mode)

    return write


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (linked, "is a link"),
        (lambda file: file.symlink_to("nowhere"), "is a link"),
        (written(SIZE, 0o640), "chmod 600"),
        (written(SIZE, 0o604), "chmod 600"),
        (written(SIZE, 0o620), "chmod 600"),
        (written(SIZE - 1, 0o600), "32 bytes"),
        (written(SIZE + 1, 0o600), "32 bytes"),
        (written(0, 0o600), "32 bytes"),
        (lambda file: os.mkfifo(file, 0o600), "must be a file"),
        (lambda file: file.mkdir(mode=0o700), "darkroom/secret.key"),
    ],
    ids=[
        "link",
        "link to nowhere",
        "group reads",
        "world reads",
        "group writes",
        "short",
        "long",
        "empty",
        "pipe",
        "dir",
    ],
)
def test_a_file_that_others_may_have_a_hand_in_is_refused(
    prepare: Callable[[Path], None], says: str, tmp_path: Path
) -> None:
    prepare(tmp_path / FILE)
    with pytest.raises(ConfigInvalid) as caught:
        InstallationSecret(tmp_path, None).key("links")
    assert says in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigInvalid):
        InstallationSecret(tmp_path / "file", None).key("links")


def test_no_secret_shows_itself(tmp_path: Path) -> None:
    secret = InstallationSecret(tmp_path, SecretStr("canary" * 6))
    secret.key("links")
    assert "canary" not in repr(secret)
