"""Makes the pictures in threads, takes as long over it as it was told to, and hangs them up for download."""

import asyncio
import itertools
import uuid
from collections.abc import Coroutine
from dataclasses import dataclass

from simulator import aihubmix
from simulator.connection import JsonObject
from simulator.draw import draw, edit
from simulator.order import Order

MAX_FILES = 64


class Studio:
    """Produces pictures; no two are alike, because each gets its own seed."""

    def __init__(self, *, seconds: float) -> None:
        self._usual_seconds = seconds
        self.seconds = seconds
        self._seeds = itertools.count(1)
        self._files: dict[str, bytes] = {}

    async def develop(self, order: Order, *, seconds: float, count: int) -> list[bytes]:
        """Make the pictures within the given latency, or a little later if drawing takes longer."""
        work = [asyncio.to_thread(_make, order, next(self._seeds)) for _ in range(count)]
        pictures, _ = await asyncio.gather(asyncio.gather(*work), asyncio.sleep(seconds))
        return list(pictures)

    def publish(self, picture: bytes) -> str:
        """Keep a picture for download and return its path; the oldest ones are dropped."""
        while len(self._files) >= MAX_FILES:
            del self._files[next(iter(self._files))]
        path = f"/files/{uuid.uuid4().hex}.png"
        self._files[path] = picture
        return path

    def fetch(self, path: str) -> bytes | None:
        """Return a published picture."""
        return self._files.get(path)

    def clear(self) -> None:
        """Forget the files and go back to the usual latency."""
        self._files.clear()
        self.seconds = self._usual_seconds


@dataclass(frozen=True)
class PolledTask:
    """Holds work that is asked for again and again, and the status it is to end with."""

    work: asyncio.Task[list[bytes]]
    outcome: str


class PollDesk:
    """Keeps the tasks of AIHubMix's two-step models."""

    def __init__(self) -> None:
        self._tasks: dict[str, PolledTask] = {}

    def open(self, work: Coroutine[None, None, list[bytes]], outcome: str) -> str:
        """Start the work and return the task's id."""
        task_id = uuid.uuid4().hex
        self._tasks[task_id] = PolledTask(asyncio.create_task(work), outcome)
        return task_id

    def report(self, task_id: str) -> JsonObject | None:
        """Describe how far the task has come, or None if there is no such task."""
        task = self._tasks.get(task_id)
        if task is None:
            return None
        if not task.work.done() or task.outcome == "processing":
            return aihubmix.poll_report("processing")
        return aihubmix.poll_report(task.outcome, task.work.result())

    async def clear(self) -> None:
        """Stop and forget all tasks."""
        works = [task.work for task in self._tasks.values()]
        self._tasks.clear()
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)


def _make(order: Order, seed: int) -> bytes:
    if order.references:
        return edit(order.references[0], order.prompt, order.width, order.height, seed)
    return draw(order.prompt, order.width, order.height, seed)
