"""Abuses of memory and disk: large bodies, unfinished ones, and large answers."""

from __future__ import annotations

import asyncio
import json

import pybase64

from tests.siege.abuses.mallory import JSON, Mallory, crowd
from tests.support.network.heavy_provider import Kind, Painter

MIB = 2**20
LARGE = Kind(width=2600, height=2600, together=1)  # 20 MB
MODELSCOPE = JSON | {"X-ModelScope-Async-Mode": "true"}


async def leave_edits(mallory: Mallory) -> None:
    """Begin 20 JSON edits of 32 MiB, and let the rest come byte by byte."""
    head = mallory.head("POST", "/v1/images/edits", Content_Type="application/json", Content_Length=32 * MIB)
    await _leave(mallory, head, b'{"prompt": "a hare", "image": "data:image/png;base64,' + b"A" * (31 * MIB), 20)


async def leave_uploads(mallory: Mallory) -> None:
    """Begin eight uploads of 32 MiB, and let the rest come byte by byte."""
    head = mallory.head("POST", "/v1/uploads", Content_Type="image/png", Content_Length=32 * MIB)
    await _leave(mallory, head, b"\x89PNG\r\n\x1a\n" + bytes(31 * MIB), 8)


async def _leave(mallory: Mallory, head: str, body: bytes, many: int) -> None:
    async def one(_: int) -> None:
        writer = await mallory.begin(head, body)
        try:
            while writer and not writer.is_closing():
                writer.write(b"A")
                await writer.drain()
                await asyncio.sleep(0.2)
        except OSError:
            mallory.did["broken later"] += 1

    await crowd(many, one)


async def send_edits(mallory: Mallory) -> None:
    """Send 20 JSON edits of 27 MB at once, again and again."""
    url = b"data:image/png;base64," + pybase64.b64encode(Painter(LARGE).paint())
    body = b'{"prompt": "hang", "image": ["%s"]}' % url

    async def one(_: int) -> None:
        await mallory.ask("POST", "/v1/images/edits", body, JSON)

    await crowd(20, one)


async def send_uploads(mallory: Mallory) -> None:
    """Send 20 uploads of 20 MB at once, again and again."""
    body = Painter(LARGE).paint()

    async def one(_: int) -> None:
        await mallory.ask("POST", "/v1/uploads", body, {"Content-Type": "image/png"})

    await crowd(20, one)


async def prepare_task(mallory: Mallory) -> None:
    """Let a task make four images of 17 MB."""
    body = json.dumps({"prompt": "heavy", "n": 4, "size": "2048x2048"}).encode()
    answer = await mallory.ask("POST", "/v1/images/generations", body, MODELSCOPE)
    assert answer
    assert answer.status == 200, answer
    mallory.jobs = [answer.json()["task_id"]]
    async with asyncio.timeout(60):
        while True:
            job = await mallory.ask("GET", f"/v1/jobs/{mallory.jobs[0]}?wait=30")
            if job and job.json()["state"] == "succeeded":
                mallory.jobs += ["/v1/artifacts/" + image["id"] for image in job.json()["images"]]
                return
            assert job
            assert job.json()["state"] in ("queued", "running"), job


async def ask_for_large_answers(mallory: Mallory) -> None:
    """Ask twelve times at once for a task with its images, and read them."""

    async def one(_: int) -> None:
        await mallory.ask("GET", f"/v1/tasks/{mallory.jobs[0]}")

    await crowd(12, one)


async def read_nothing(mallory: Mallory) -> None:
    """Ask for large images and tasks, and read no answer."""
    targets = [f"/v1/tasks/{mallory.jobs[0]}", *mallory.jobs[1:]]
    writers = []

    async def one(number: int) -> None:
        writer = await mallory.begin(mallory.head("GET", targets[number % len(targets)]))
        if writer:
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writers.append(writer)
        await asyncio.sleep(3)

    await crowd(60, one)
