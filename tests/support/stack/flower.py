"""Flower in its own process, and a browser whose user is logged in."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from producer.stack.ports import free_port

DARKROOM = str(Path(sys.executable).with_name("darkroom"))


@asynccontextmanager
async def open_flower(
    folder: Path, environment: Mapping[str, str], login: tuple[str, str]
) -> AsyncIterator[tuple[httpx.AsyncClient, int]]:
    """Run Flower; lend a browser, and tell Flower's process."""
    port = free_port()
    given = {**environment, "FLOWER_BASIC_AUTH": ":".join(login), "FLOWER_PORT": str(port)}
    with (folder / "flower.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(DARKROOM, "flower", env=given, stdout=log, stderr=log)
    try:
        base = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=base, auth=login, trust_env=False, timeout=10) as browser:
            yield browser, process.pid
    finally:
        process.terminate()
        await process.wait()


async def hears_workers(browser: httpx.AsyncClient) -> None:
    """Wait until Flower has heard of a worker."""
    await page_when(browser, "/workers?json=1", lambda page: bool(page["data"]))


async def tasks_when(browser: httpx.AsyncClient, states: Mapping[str, str]) -> dict[str, Any]:
    """Wait until Flower shows these tasks in these states; answer its tasks."""

    def is_told(tasks: dict[str, Any]) -> bool:
        return {task_id: tasks.get(task_id, {}).get("state") for task_id in states} == dict(states)

    return await page_when(browser, "/api/tasks", is_told)


async def page_when(browser: httpx.AsyncClient, page: str, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Wait until a page of JSON is as it shall be; answer it."""
    found: dict[str, Any] = {}
    try:
        async with asyncio.timeout(30):
            while True:
                with suppress(httpx.TransportError):
                    found = (await browser.get(page)).json()
                    if is_so(found):
                        return found
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        raise AssertionError(f"{page} shows {found}") from error
