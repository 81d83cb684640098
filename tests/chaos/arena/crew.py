"""The processes that live through a storm: each is started again when it ends, as its supervisor would."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

RESTART_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One process of a member: who it was, from when to when, and how it ended."""

    name: str
    pid: int
    began: float  # wall clock
    ended: float
    code: int


@dataclass(slots=True, kw_only=True)
class Member:
    """One process that is kept alive; `command` may name a failpoint for its next life."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    next_failpoint: str = ""
    lives: list[Life] = field(default_factory=list)
    process: asyncio.subprocess.Process | None = None
    began: float = 0.0
    is_wanted: bool = True
    _keeper: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Run the process, again and again, until it exits with 0 or is not wanted any more."""
        self._keeper = asyncio.create_task(self._keep(), name=self.name)

    def signal(self, number: int, *, whole_group: bool = False) -> None:
        """Send a signal to the process, or to its children as well."""
        if self.process is None or self.process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            (os.killpg if whole_group else os.kill)(self.process.pid, number)

    def kill_child(self) -> bool:
        """Kill the first child, if there is one."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        with suppress(OSError, ValueError, IndexError):
            os.kill(int(children.read_text().split()[0]), signal.SIGKILL)
            return True
        return False

    async def stop(self) -> None:
        """End the process for good."""
        self.is_wanted = False
        self.signal(signal.SIGKILL, whole_group=True)
        if self._keeper is not None:
            await self._keeper

    async def done(self) -> None:
        """Wait until the process has exited with 0."""
        assert self._keeper is not None
        await self._keeper

    async def _keep(self) -> None:
        while self.is_wanted:
            failpoint, self.next_failpoint = self.next_failpoint, ""
            with self.log.open("ab") as log:
                self.process = await asyncio.create_subprocess_exec(
                    *self.command,
                    env={**os.environ, **self.environment, "DARKROOM_FAILPOINT": failpoint},
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            self.began = time.time()
            code = await self.process.wait()
            with suppress(ProcessLookupError):  # its children may have outlived it
                os.killpg(self.process.pid, signal.SIGKILL)
            self.lives.append(
                Life(name=self.name, pid=self.process.pid, began=self.began, ended=time.time(), code=code)
            )
            if code == 0 and self.name == "gateway":
                return
            await asyncio.sleep(RESTART_S)
