"""Which queue a nanobot finds, and whether its plugin was told to leave it alone."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from producer.nanobot.switch import find_queue, is_off, told_queue

SECRET = "redis://user:canary@127.0.0.1/0"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A config.json beside which nothing lies yet."""
    for name in ("DARKROOM_REDIS_URL", "DARKROOM_PLUGIN"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "darkroom").mkdir()
    return tmp_path / "config.json"


@contextmanager
def stack(config: Path, **more: object) -> Iterator[None]:
    """Hold what a running stack holds."""
    home = config.parent / "darkroom"
    (home / "stack.json").write_text(json.dumps({"config": str(config), "redis_url": SECRET, **more}))
    with (home / "stack.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def test_a_stack_is_found_while_it_runs(config: Path) -> None:
    assert find_queue(config) is None
    with stack(config):
        assert find_queue(config) is not None
    assert find_queue(config) is None  # killed, and its record is still there


def test_a_newer_stack_may_tell_more_of_itself(config: Path) -> None:
    with stack(config, contract=7, gateway_url="http://127.0.0.1:8790"):
        found = find_queue(config)
    assert found is not None
    assert found.running is not None
    assert found.running.gateway_url == "http://127.0.0.1:8790"


@pytest.mark.parametrize("record", ["", "[]", "7", "{}", '{"config": "x"}'])
def test_a_spoilt_record_is_no_stack(config: Path, record: str) -> None:
    with stack(config):
        (config.parent / "darkroom/stack.json").write_text(record)
        assert find_queue(config) is None


def test_looking_for_a_stack_does_not_hinder_one_that_starts(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (config.parent / "darkroom/stack.lock").touch()

    def flock(*_: object) -> None:
        raise AssertionError("for a moment `darkroom up` would find its lock taken")

    monkeypatch.setattr(fcntl, "flock", flock)
    assert find_queue(config) is None


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (f"DARKROOM_REDIS_URL={SECRET}", True),
        (f"export darkroom_redis_url = '{SECRET}'", True),
        ("DARKROOM_REDIS_URL=", False),
        ("DARKROOM_REDIS_URL=   # none", False),
        (f"# DARKROOM_REDIS_URL={SECRET}", False),
        (f"OTHER_DARKROOM_REDIS_URL={SECRET}", False),
    ],
)
def test_a_queue_may_be_named_in_a_file(config: Path, line: str, found: bool) -> None:
    (config.parent / "darkroom.env").write_text(f"DARKROOM_PORT=1\n{line}\n")
    queue = find_queue(config)
    assert (queue is not None) is found
    assert "canary" not in told_queue(queue, config)


def test_the_environment_goes_before_a_stack(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_REDIS_URL", SECRET)
    with stack(config):
        found = find_queue(config)
    assert found is not None
    assert found.running is None
    assert "canary" not in told_queue(found, config)


@pytest.mark.parametrize(
    ("value", "off"),
    [
        ("off", True),
        ("OFF", True),
        ("false", True),
        ("0", True),
        ("no", True),
        ("on", False),
        ("1", False),
        ("", False),
    ],
)
def test_the_plugin_is_off_if_it_is_told_so(
    config: Path, monkeypatch: pytest.MonkeyPatch, value: str, off: bool
) -> None:
    (config.parent / "darkroom.env").write_text(f"DARKROOM_PLUGIN={value}\n")
    assert is_off(config) is off
    monkeypatch.setenv("DARKROOM_PLUGIN", "on")
    assert not is_off(config)
    (config.parent / "darkroom.env").write_text("")
    monkeypatch.setenv("DARKROOM_PLUGIN", value)
    assert is_off(config) is off
