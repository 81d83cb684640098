"""Flower, set up to look and not to touch: loopback, behind a login, read-only, in memory.

FLOWER_BASIC_AUTH (user:password) is required; FLOWER_ADDRESS and FLOWER_PORT may be set.
"""

from __future__ import annotations

import os
import resource
import sys

from contract.doorbell import celery_app


def main() -> None:
    """Run Flower until it is stopped; exit 2 without a login."""
    if ":" not in os.environ.get("FLOWER_BASIC_AUTH", ""):
        sys.stderr.write("Error: set FLOWER_BASIC_AUTH to user:password; Flower is never run open.\n")
        sys.exit(2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold its logins
    os.environ.setdefault("FLOWER_ADDRESS", "127.0.0.1")
    app = celery_app(os.environ.get("DARKROOM_REDIS_URL") or "redis://127.0.0.1:6379/0", task_events=True)
    app.start(["flower", "--max_tasks=10000", "--persistent=False", "--read_only=True"])


if __name__ == "__main__":
    main()
