"""Finding a running stack, also one of a newer version."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

import pytest

from contract.errors.exceptions import ConfigInvalid
from contract.settings.loader import load_settings
from contract.settings.running_stack import Running, find_running


def test_a_stack_of_a_newer_version_is_found(tmp_path: Path) -> None:
    told = {"config": "/c.json", "redis_url": "unix:///r.sock", "metrics_url": "http://127.0.0.1:1"}
    (tmp_path / "stack.json").write_text(json.dumps(told))
    assert find_running(tmp_path) is None
    with (tmp_path / "stack.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert find_running(tmp_path) == Running(config="/c.json", redis_url="unix:///r.sock")


def test_beside_a_running_stack_no_key_is_needed_as_its_worker_has_it(home: Path) -> None:
    place = home / ".nanobot" / "darkroom"
    place.mkdir(parents=True)
    config = place.parent / "config.json"
    config.write_text('{"providers": {"openrouter": {"apiKey": "${OPENROUTER_API_KEY}"}}}')
    (place / "stack.json").write_text(json.dumps({"config": str(config), "redis_url": "unix:///r.sock"}))
    with pytest.raises(ConfigInvalid, match="OPENROUTER_API_KEY"):
        load_settings()
    with (place / "stack.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        env = load_settings().env
    assert (env.redis_url.get_secret_value(), env.keys_elsewhere) == ("unix:///r.sock", True)
