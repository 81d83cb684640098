"""A few child processes that work on untrusted input; a question waits until one is free.

A child that dies, or takes too long, costs the one question that it was asked, and is replaced.
"""

from __future__ import annotations

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any

from contract.untrusted.sandbox_process import SandboxProcess
from contract.untrusted.sandbox_protocol import Frame


class ChildLost(Exception):
    """A child died of a question, or took too long for it, or none could be started."""

    def __init__(self, *, is_late: bool = False, is_unstarted: bool = False) -> None:
        super().__init__()
        self.is_late = is_late
        self.is_unstarted = is_unstarted


class SandboxPool:
    """Children that all run the same module; each is started when it is needed."""

    def __init__(
        self,
        module: str,
        *arguments: str,
        size: int,
        wall_s: float,
        most_questions: float = math.inf,
        lock: IO[bytes] | None = None,
        is_warm: bool = False,
    ) -> None:
        """Make room for `size` children; with `is_warm` the first one is started, so that no question waits for it.

        A question may take `wall_s`, from its turn on. A child is replaced after `most_questions`, so that nothing
        heaps up in it. All get `arguments` and the descriptor of a `lock` file.
        """
        self.module = module
        self.wall_s = wall_s
        self._arguments = arguments
        self._lock = lock
        self._most_questions = most_questions
        self._asked: dict[SandboxProcess, int] = {}
        self._is_closed = False
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="darkroom-sandbox")
        self._free: asyncio.LifoQueue[SandboxProcess | None] = asyncio.LifoQueue()
        for _ in range(size - 1):
            self._free.put_nowait(None)
        self._free.put_nowait(self._start() if is_warm else None)

    async def ask(self, question: dict[str, Any], body: bytes | bytearray) -> Frame:
        """Put a question to a child; a bytearray is emptied as soon as it has left. Raises ChildLost."""
        child = await self._free.get()
        try:
            child = self._ready(child)
            async with asyncio.timeout(self.wall_s):
                return await asyncio.get_running_loop().run_in_executor(self._threads, child.ask, question, body)
        except BaseException as error:
            if child is not None:
                self._drop(child)  # also when we were cancelled: it would answer this question to the next asker
            child = None
            if not isinstance(error, OSError | EOFError | ValueError):
                raise
            raise ChildLost(is_late=isinstance(error, TimeoutError)) from error
        finally:
            self._free.put_nowait(child)

    async def close(self) -> None:
        """End all children; questions under way, and those that wait, fail as lost."""
        self._is_closed = True
        for child in list(self._asked):
            self._drop(child)
        await asyncio.to_thread(self._threads.shutdown)

    def _ready(self, child: SandboxProcess | None) -> SandboxProcess:
        if child is not None and (child.is_dead() or self._asked[child] >= self._most_questions):
            self._drop(child)
            child = None
        if self._is_closed:
            raise ChildLost
        try:
            child = child or self._start()
        except OSError as error:
            raise ChildLost(is_unstarted=True) from error
        self._asked[child] += 1
        return child

    def _start(self) -> SandboxProcess:
        child = SandboxProcess(self.module, *self._arguments, lock=self._lock)
        self._asked[child] = 0
        return child

    def _drop(self, child: SandboxProcess) -> None:
        """Kill a child; its end is awaited in a thread, as giving a gigabyte back takes a while."""
        if self._asked.pop(child, None) is not None:  # and not dropped already
            child.interrupt()
            self._threads.submit(child.end)
