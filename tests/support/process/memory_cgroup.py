"""A real memory cgroup for processes that a test starts: a hard limit, its peak, and what the kernel killed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

V1 = Path("/sys/fs/cgroup/memory")
V2 = Path("/sys/fs/cgroup")


class CannotBeMade(Exception):
    """This machine lets us make no memory cgroup; the message says why."""


class Cgroup:
    """One group; `enter` is a command that runs another one inside."""

    def __init__(self, folder: Path, *, is_v2: bool) -> None:
        self.folder = folder
        self._is_v2 = is_v2

    @property
    def enter(self) -> list[str]:
        """What stands before a command that is to run in the group."""
        return ["/bin/sh", "-c", f'echo $$ > "{self.folder}/cgroup.procs" && exec "$@"', "sh"]

    def limit(self, most: int) -> None:
        """Set the hard limit, without swap. Raises OSError."""
        self._write("memory.max" if self._is_v2 else "memory.limit_in_bytes", most)
        with suppress(OSError):  # a kernel may have no account of swap
            self._write(*(("memory.swap.max", 0) if self._is_v2 else ("memory.memsw.limit_in_bytes", most)))

    def held(self) -> int:
        """Tell what the processes hold themselves, without the files that the kernel may drop, in bytes."""
        names = ("anon", "sock") if self._is_v2 else ("total_rss",)
        rows = dict(line.split() for line in (self.folder / "memory.stat").read_text().splitlines())
        return sum(int(rows.get(name, 0)) for name in names)

    def kills(self) -> int:
        """Count the processes that were killed because the group was full."""
        rows = (self.folder / ("memory.events" if self._is_v2 else "memory.oom_control")).read_text()
        return int(dict(line.split() for line in rows.splitlines())["oom_kill"])

    def remove(self) -> None:
        """Remove the group once its processes have gone."""
        for _ in range(100):
            with suppress(OSError):
                self.folder.rmdir()
                return
            time.sleep(0.05)

    def _write(self, name: str, value: int) -> None:
        (self.folder / name).write_text(str(value))


@contextmanager
def memory_cgroup(most: int) -> Iterator[Cgroup]:
    """Make a group with a limit, and remove it in the end. Raises CannotBeMade."""
    is_v2 = (V2 / "cgroup.controllers").is_file()
    if not is_v2 and not (V1 / "memory.limit_in_bytes").is_file():
        raise CannotBeMade("the kernel has no memory controller here")
    group = Cgroup((V2 if is_v2 else V1) / f"darkroom-test-{os.getpid()}-{time.monotonic_ns()}", is_v2=is_v2)
    try:
        group.folder.mkdir()
        group.limit(most)
    except OSError as error:
        group.remove()
        raise CannotBeMade(f"no memory cgroup can be made under {group.folder.parent}: {error.strerror}") from error
    try:
        yield group
    finally:
        group.remove()
