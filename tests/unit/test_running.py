"""Finding a running stack, also one of a newer version."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

from contract.running import Running, find_running


def test_a_stack_of_a_newer_version_is_found(tmp_path: Path) -> None:
    told = {"config": "/c.json", "redis_url": "unix:///r.sock", "metrics_url": "http://127.0.0.1:1"}
    (tmp_path / "stack.json").write_text(json.dumps(told))
    assert find_running(tmp_path) is None
    with (tmp_path / "stack.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert find_running(tmp_path) == Running(config="/c.json", redis_url="unix:///r.sock")
