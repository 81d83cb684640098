"""Abuses of connections: many, idle, half open, or full of garbage."""

from __future__ import annotations

import asyncio
import json
import os
import resource

from tests.siege.abuses.mallory import JSON, Mallory, crowd
from tests.support.clients.mcp import HELLO, message

HELLO_OF_TLS = bytes.fromhex("16030100a5010000a10303") + bytes(160)


def most(wanted: int) -> int:
    """Tell how many connections this process may have, at most so many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = wanted + 100 if hard == resource.RLIM_INFINITY else min(hard, wanted + 100)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(wanted, soft - 100)


async def prepare_waiting_job(mallory: Mallory) -> None:
    """Hand in a job that takes its time."""
    mallory.jobs = [await mallory.submit(prompt="hang")]


async def poll_long(mallory: Mallory) -> None:
    """Wait for one job over 4,000 connections."""
    head = mallory.head("GET", f"/v1/jobs/{mallory.jobs[0]}?wait=60")
    await hold(mallory, most(4000), head)


async def hold_idle(mallory: Mallory) -> None:
    """Open 5,000 connections and say nothing."""
    await hold(mallory, most(5000), "")


async def hold(mallory: Mallory, many: int, head: str) -> None:
    """Keep connections open, and open those again that were closed."""
    places = asyncio.Semaphore(100)

    async def one(_: int) -> None:
        async with places:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", mallory.port, limit=2**12)
                writer.write(head.replace("\n", "\r\n").encode())
            except OSError:
                mallory.did["broken"] += 1
                return
        mallory.did["opened"] += 1
        try:
            said = await reader.read(12)
            mallory.did[said[9:].decode() or "closed"] += 1
            await asyncio.sleep(5)
        except OSError:
            mallory.did["reset"] += 1
        finally:
            writer.close()

    await crowd(many, one)


async def open_streams(mallory: Mallory) -> None:
    """Open event streams without reading them, some from behind their end."""
    for _ in range(20):
        await mallory.begin(mallory.head("GET", f"/v1/jobs/{mallory.jobs[0]}/events"))

    async def one(number: int) -> None:
        headers = {"Last-Event-ID": "99999999999999-0"} if number % 2 else {}
        connection = mallory.connection()
        try:
            async with asyncio.timeout(0.3):
                await mallory.ask("GET", f"/v1/jobs/{mallory.jobs[0]}/events", headers=headers, over=connection)
        except TimeoutError:
            mallory.did["hung up"] += 1
        finally:
            connection.close()

    await crowd(40, one)


async def open_sessions(mallory: Mallory) -> None:
    """Open sessions of MCP and leave them."""
    body = json.dumps(message("initialize", 1, **HELLO)).encode()
    headers = JSON | {"Accept": "application/json, text/event-stream"}

    async def one(_: int) -> None:
        await mallory.ask("POST", "/mcp", body, headers)

    await crowd(10, one)


async def send_garbage(mallory: Mallory) -> None:
    """Send what is no request, without a token."""
    pieces = (
        b"\0" * 100,
        HELLO_OF_TLS,
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/jobs HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    )

    async def one(number: int) -> None:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", mallory.port)
            writer.write(pieces[number % len(pieces)] + os.urandom(16))
            async with asyncio.timeout(2):
                said = await reader.read(12)
            mallory.did[said[9:].decode("latin-1") or "closed"] += 1
            writer.close()
        except OSError:
            mallory.did["reset"] += 1
        except TimeoutError:
            mallory.did["no answer"] += 1
            writer.close()

    await crowd(40, one)


async def come_without_token(mallory: Mallory) -> None:
    """Ask with tokens that are none."""

    async def one(number: int) -> None:
        connection = mallory.connection(f"wrong-{number}")
        for _ in range(10):
            await mallory.ask("GET", "/v1/jobs", over=connection)
        connection.close()

    await crowd(40, one)
