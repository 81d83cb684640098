"""How much memory this process may have: what its cgroup allows, of version 2 or 1."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path, PurePosixPath

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")


def memory_limit(*, root: Path = ROOT, own: Path = OWN) -> int | None:
    """Find the lowest limit of the process's own memory cgroup and those above it, in bytes; None without any.

    In a container the own group may be the root of what can be seen, whatever its name is outside.
    """
    limits = []
    for folder, name in _groups(root, own):
        with suppress(OSError, ValueError):  # not there, or "max"
            limits.append(int((folder / name).read_text()))
    least = min(limits, default=None)
    return least if least is not None and least < machine_memory() else None


def machine_memory() -> int:
    """Tell how much memory the machine has, in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _groups(root: Path, own: Path) -> list[tuple[Path, str]]:
    """List the folders that may hold a limit of ours, with the name of its file."""
    found: list[tuple[Path, str]] = []
    for line in _lines(own):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            tops, name = (root, root / "unified"), "memory.max"
        elif "memory" in controllers.split(","):
            tops, name = (root / "memory", root / controllers), "memory.limit_in_bytes"
        else:
            continue
        for inner in (PurePosixPath(path), *PurePosixPath(path).parents):
            found += [(top / str(inner).lstrip("/"), name) for top in tops]
    return found


def _lines(own: Path) -> list[str]:
    with suppress(OSError):
        return [line for line in own.read_text().splitlines() if line.count(":") >= 2]
    return []
