"""Abuses of the queue and of what is remembered of it."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from itertools import count

from tests.siege.abuses.mallory import JSON, Mallory, crowd
from tests.support.network.webhook_receiver import Receiver

LONG = "\N{FOX FACE}" * 32_000  # four bytes each
HANGING = 96


async def remember_long_prompts(mallory: Mallory) -> None:
    """Hand in prompts of 128 KB and cancel them: each ended job is remembered."""
    number = count()

    async def one(_: int) -> None:
        job = await mallory.submit(prompt=f"{LONG[:-9]} {next(number)}")
        if job:
            await mallory.ask("POST", f"/v1/jobs/{job}/cancel")

    await crowd(8, one)


async def remember_long_conversations(mallory: Mallory) -> None:
    """Name conversations of 2 MB."""
    body = json.dumps({"prompt": "a hare", "conversation": "c" * 2_000_000}).encode()

    async def one(_: int) -> None:
        await mallory.ask("POST", "/v1/images/generations", body, JSON)

    await crowd(4, one)


async def hammer(mallory: Mallory) -> None:
    """Submit as fast as can be, far above the rate."""

    async def one(number: int) -> None:
        connection = mallory.connection()
        for _ in range(20):
            job = await mallory.submit(over=connection, prompt=f"hang {number}")
            if job:
                await mallory.ask("POST", f"/v1/jobs/{job}/cancel", over=connection)
        connection.close()

    await crowd(40, one)


async def take_slots(mallory: Mallory) -> None:
    """Hand in as many jobs as may be whose provider does not answer."""

    async def one(_: int) -> None:
        await mallory.submit(prompt="hang")

    await crowd(10, one)


async def hang_webhooks(mallory: Mallory) -> None:
    """Let 96 jobs end whose receivers never answer, on hosts of their own, and go on with that."""

    async with Receiver(lambda _: None) as receiver:

        async def one(number: int) -> None:
            url = receiver.url("/hang", host=f"127.0.0.{10 + number % 90}")
            await mallory.submit(prompt="a hare", image_size="512", webhook_url=url)
            await asyncio.sleep(0.2)

        await asyncio.gather(*(one(number) for number in range(HANGING)))
        await crowd(2, one)


async def delete_what_is_followed(mallory: Mallory) -> None:
    """Delete jobs while their events are read."""

    async def one(_: int) -> None:
        job = await mallory.submit(prompt="a hare", image_size="512")
        if not job:
            return
        following = asyncio.create_task(mallory.ask("GET", f"/v1/jobs/{job}/events"))
        await asyncio.sleep(0.2)
        await mallory.ask("POST", f"/v1/jobs/{job}/cancel")
        await mallory.ask("DELETE", f"/v1/jobs/{job}")
        await asyncio.wait({following}, timeout=5)
        following.cancel()

    await crowd(5, one)


async def repeat_one_request(mallory: Mallory) -> None:
    """Send one request with one key from fifty places."""

    async def one(_: int) -> None:
        await mallory.submit(prompt="hang", key="same")

    await crowd(50, one)


async def break_off(mallory: Mallory) -> None:
    """Ask as OpenAI's clients do, hang up, and come back to another gateway."""
    body = json.dumps({"prompt": "a hare", "size": "1024x1024"}).encode()

    async def one(number: int) -> None:
        headers = JSON | {"Idempotency-Key": f"broken-{number}"}
        with suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                await mallory.ask("POST", "/v1/images/generations", body, headers)

    await crowd(20, one)


async def name_two_users(mallory: Mallory) -> None:
    """Contradict oneself about who one is."""
    body = json.dumps({"prompt": "a hare", "user": "x"}).encode()

    async def one(number: int) -> None:
        headers = JSON | {"X-Darkroom-User": f"u{number}", "X-OpenWebUI-User-Id": "somebody"}
        await mallory.ask("POST", "/v1/jobs", body, headers)

    await crowd(40, one)


async def prepare_large_jobs(mallory: Mallory) -> None:
    """Hand in what makes long lists."""
    mallory.jobs = [await mallory.submit(prompt=f"{LONG[:-9]} {number}") for number in range(100)]
    for job in mallory.jobs:
        await mallory.ask("POST", f"/v1/jobs/{job}/cancel")


async def list_large_jobs(mallory: Mallory) -> None:
    """List them from fifteen places at once."""

    async def one(_: int) -> None:
        await mallory.ask("GET", "/v1/jobs?limit=100")

    await crowd(15, one)


async def guess(mallory: Mallory) -> None:
    """Ask for jobs and images that do not exist."""

    async def one(number: int) -> None:
        connection = mallory.connection()
        for target in ("/v1/jobs/job_{:032x}", "/v1/artifacts/img_{:012x}"):
            await mallory.ask("GET", target.format(number), over=connection)
        connection.close()

    await crowd(40, one)
