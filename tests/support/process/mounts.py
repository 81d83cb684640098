"""File systems of a test's own."""

from __future__ import annotations

import subprocess
from contextlib import suppress

from tests.support.lacking import lacking


def mounting() -> list[str]:
    """Name the command that lets its child mount; a machine where none does so skips the test, and CI fails."""
    ways = [["unshare", "-rm"], ["unshare", "-m"]]
    for way in ways:
        with suppress(FileNotFoundError):
            mount = [*way, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
            if subprocess.run(mount, check=False, capture_output=True).returncode == 0:
                return way
    return lacking("no file system of 1 MiB can be mounted: it takes user namespaces, or root")
