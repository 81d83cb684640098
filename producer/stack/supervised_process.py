"""One supervised process: started again when it ends, ended when it is not wanted any more.

Its pid is on record, so that a part that outlived a killed stack is ended before a new one starts.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from producer.stack.log_file import trim

STEADY_S = 30.0  # a part that ran this long is started again at once
LOOK_AT_LOG_S = 60.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 10.0


class SupervisedProcess:
    """A process of the stack; `stop_s` is how long it may take to end."""

    def __init__(
        self, name: str, command: tuple[str, ...], *, environment: Mapping[str, str], home: Path, stop_s: float = 10
    ) -> None:
        self.name = name
        self.log = home / "logs" / f"{name}.log"
        self._home = home
        self._record = _record_of(home, name)
        self._command = command
        self._environment = environment
        self._stop_s = stop_s
        self._process: asyncio.subprocess.Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._orphan: asyncio.Task[None] | None = None

    def start(self, say: Callable[[str], None]) -> None:
        """Run the part, again and again, until it is stopped."""
        orphan = end_orphan(self._home, self.name, stop_s=self._stop_s)
        self._orphan = asyncio.create_task(orphan, name=f"orphan {self.name}")
        self._watcher = asyncio.create_task(self._keep(say))

    async def stop(self) -> None:
        """End the part; it has its time to finish."""
        for task in (self._watcher, self._orphan):
            if task is not None:
                task.cancel()
                await asyncio.wait({task})
        if self._process is None or self._process.returncode is not None:
            return
        try:
            self._process.terminate()
            async with asyncio.timeout(self._stop_s):
                await self._process.wait()
        except (TimeoutError, asyncio.CancelledError):
            self.kill()
        self._record.unlink(missing_ok=True)

    @property
    def pid(self) -> int | None:
        """The process that runs now."""
        return self._process.pid if self._process else None

    def kill(self) -> None:
        """End the part and all its children at once."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _keep(self, say: Callable[[str], None]) -> None:
        self.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        clock = asyncio.get_running_loop().time
        pause_s = FIRST_PAUSE_S
        with self.log.open("ab") as log:
            while True:
                started = clock()
                self._process = await asyncio.create_subprocess_exec(
                    *self._command,
                    env=self._environment,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
                self._record.write_text(json.dumps({"pid": self._process.pid, "command": self._command}))
                code = await self._ends(self._process)
                pause_s = FIRST_PAUSE_S if clock() - started > STEADY_S else min(2 * pause_s, LONGEST_PAUSE_S)
                say(f"{self.name} ended ({code}); it is started again. Its log: {self.log}")
                await asyncio.sleep(pause_s)

    async def _ends(self, process: asyncio.subprocess.Process) -> int:
        """Wait for the end of a process, and keep its log short meanwhile."""
        while True:
            await asyncio.to_thread(trim, self.log)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AT_LOG_S):
                    return await process.wait()


async def end_orphan(home: Path, name: str, *, stop_s: float) -> None:
    """End the part that a killed stack left, if it is still what its record says; it has its time to finish, too."""
    try:
        record = json.loads(_record_of(home, name).read_text())
        pid, command = int(record["pid"]), " ".join(record["command"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    try:
        if _command_of(pid) == command:
            os.killpg(pid, signal.SIGTERM)
        async with asyncio.timeout(stop_s):
            while await asyncio.to_thread(_command_of, pid) == command:
                await asyncio.sleep(0.2)
    except TimeoutError:
        pass
    finally:
        if _command_of(pid) == command:
            os.killpg(pid, signal.SIGKILL)


def _record_of(home: Path, name: str) -> Path:
    return home / "logs" / f"{name}.pid"


def _command_of(pid: int) -> str:
    """Ask the system what a process is, as it was started."""
    answer = subprocess.run(  # noqa: S603 - a fixed command and a number
        ["ps", "-ww", "-o", "command=", "-p", str(pid)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout.strip()
