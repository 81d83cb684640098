"""Keeps the tasks of two-step models and reports on them, honestly or not (row P79)."""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass

from simulator.catalogue.script import Step
from simulator.providers import aihubmix
from simulator.server.connection import JsonObject
from simulator.server.reply import Reply

Publish = Callable[[list[bytes]], list[str]]


@dataclass(kw_only=True)
class PolledTask:
    """Holds work that is asked for again and again, and the step that says what the asker hears."""

    id: str
    work: asyncio.Task[list[bytes]]
    step: Step
    publish: Publish
    polls: int = 0

    def state(self) -> str:
        """Name the honest state: processing or succeeded."""
        return "succeeded" if self.work.done() else "processing"

    def report(self, status: str) -> JsonObject:
        """Describe the task in that status, with its pictures once it says that it has succeeded."""
        pictures = self.work.result() if status == "succeeded" and self.work.done() else []
        return aihubmix.poll_report(status, pictures)


class PollDesk:
    """Answers polls by the outcome of the task's step."""

    def __init__(self) -> None:
        self._tasks: dict[str, PolledTask] = {}

    def open(self, work: Coroutine[None, None, list[bytes]], step: Step, publish: Publish) -> str:
        """Start the work and return the task's id."""
        task_id = uuid.uuid4().hex
        self._tasks[task_id] = PolledTask(id=task_id, work=asyncio.create_task(work), step=step, publish=publish)
        return task_id

    async def answer(self, task_id: str, reply: Reply) -> bool:
        """Answer a poll, or return False if there is no such task."""
        task = self._tasks.get(task_id)
        if task is None:
            return False
        task.polls += 1
        await OUTCOMES[task.step.text("outcome", "succeeded")](task, reply)
        return True

    async def clear(self) -> None:
        """Stop and forget all tasks."""
        works = [task.work for task in self._tasks.values()]
        self._tasks.clear()
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)


async def succeed(task: PolledTask, reply: Reply) -> None:
    """Report honestly, in the word for success that the step prefers."""
    report = task.report(task.state())
    word = {"status": task.step.text("word", "succeeded")} if task.state() == "succeeded" else {}
    await reply.json(200, {**report, **word})


async def stay(task: PolledTask, reply: Reply) -> None:
    """Report for ever that the work goes on, or an unknown status."""
    await reply.json(200, {"status": task.step.text("word", "processing")})


async def go_back(task: PolledTask, reply: Reply) -> None:
    """Report success without pictures first, then that the work goes on, then the pictures."""
    status = ["succeeded", "processing"][task.polls - 1] if task.polls <= 2 else task.state()
    await reply.json(200, {"status": status, "output": []} if task.polls == 1 else task.report(status))


async def be_odd_first(task: PolledTask, reply: Reply) -> None:
    """Report an unknown status a few times, then honestly."""
    if task.polls <= task.step.number("odd_polls", 2):
        await reply.json(200, {"status": task.step.text("word", "rendering_step_7"), "progress": "n/a"})
    else:
        await succeed(task, reply)


async def change_id(task: PolledTask, reply: Reply) -> None:
    """Report under another task id and address each time."""
    other = uuid.uuid4().hex
    await reply.json(200, {**task.report(task.state()), "taskId": other, "id": other, "polling_url": f"/poll/{other}"})


async def be_empty(task: PolledTask, reply: Reply) -> None:
    """Report success with nothing in it."""
    done = task.state() == "succeeded"
    await reply.json(200, {"status": "succeeded", "output": []} if done else task.report("processing"))


async def give_link(task: PolledTask, reply: Reply) -> None:
    """Report success with a link in `result.sample`, as Flux does."""
    if not task.work.done():
        await reply.json(200, task.report("processing"))
        return
    await reply.json(200, {"status": "Ready", "result": {"sample": task.publish(task.work.result())[0]}})


async def fail(task: PolledTask, reply: Reply) -> None:
    """Report that the task failed, once the work is done."""
    await reply.json(200, task.report("failed" if task.work.done() else "processing"))


async def be_moderated(task: PolledTask, reply: Reply) -> None:
    """Report that the picture was withheld."""
    await reply.json(200, {"status": "Content Moderated", "result": None, "details": {"Moderation Reasons": ["Sex"]}})


async def refuse_polls(task: PolledTask, reply: Reply) -> None:
    """Answer the first `refusals` polls with a status, then honestly."""
    if task.polls > task.step.number("refusals", 3):
        await succeed(task, reply)
        return
    status = int(task.step.number("status", 503))
    headers = {"Retry-After": task.step.text("retry_after", "1")} if status in (429, 503) else {}
    await reply.json(status, aihubmix.failure(status, "Not now"), headers)


async def hang(task: PolledTask, reply: Reply) -> None:
    """Never answer a poll."""
    async with reply.watched(lambda: None):
        await reply.gone.wait()


async def be_page(task: PolledTask, reply: Reply) -> None:
    """Answer polls with a web page."""
    await reply.whole(200, b"<!doctype html><h1>Sign in</h1>", {"Content-Type": "text/html"})


async def reset(task: PolledTask, reply: Reply) -> None:
    """Answer polls with a TCP RST."""
    reply.reset()


async def say(task: PolledTask, reply: Reply) -> None:
    """Answer polls with the step's `body` and `status`, once the work is done."""
    if task.work.done():
        body = json.dumps(task.step.options.get("body")).encode()
        await reply.whole(int(task.step.number("status", 200)), body, {"Content-Type": "application/json"})
    else:
        await reply.json(200, task.report("processing"))


async def be_wrong(task: PolledTask, reply: Reply) -> None:
    """Answer polls with JSON of the wrong types."""
    await reply.whole(200, json.dumps([{"status": 7, "output": "none"}]).encode(), {"Content-Type": "application/json"})


OUTCOMES: dict[str, Callable[[PolledTask, Reply], Awaitable[None]]] = {
    "backwards": go_back,
    "empty": be_empty,
    "failed": fail,
    "hang": hang,
    "id_changes": change_id,
    "moderated": be_moderated,
    "odd_status": be_odd_first,
    "page": be_page,
    "processing": stay,
    "refused": refuse_polls,
    "reset": reset,
    "sample": give_link,
    "says": say,
    "succeeded": succeed,
    "wrong_types": be_wrong,
}
