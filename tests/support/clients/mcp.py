"""The MCP SDK's own client at our tools, over HTTP and over stdio."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, ImageContent, TextContent

HELLO: dict[str, Any] = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}
DARKROOM = str(Path(sys.executable).parent / "darkroom")


@asynccontextmanager
async def kept(opening: AbstractAsyncContextManager[Client]) -> AsyncIterator[Client]:
    """Keep a client open in a task of its own, as fixtures begin and end in different ones."""
    opened: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
    enough = asyncio.Event()

    async def keep() -> None:
        async with opening as client:
            opened.set_result(client)
            await enough.wait()

    keeping = asyncio.create_task(keep())
    waited: set[asyncio.Future[Any]] = {keeping, opened}
    await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
    if not opened.done():
        keeping.result()
    try:
        yield opened.result()
    finally:
        enough.set()
        await keeping


@asynccontextmanager
async def tools_at(url: str, token: str, *, mode: str = "legacy", **headers: str) -> AsyncIterator[Client]:
    """Open a session at a gateway, with the handshake that nanobot makes unless `mode` says otherwise."""
    headers = {"Authorization": f"Bearer {token}"} | {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client


@asynccontextmanager
async def tools_of_command(
    environment: Mapping[str, str], log: Path, *arguments: str, mode: str = "legacy"
) -> AsyncIterator[Client]:
    """Start `darkroom mcp` and speak with it."""
    started = StdioServerParameters(command=DARKROOM, args=["mcp", *arguments], env={**os.environ, **environment})
    with log.open("w") as errors:
        async with Client(stdio_client(started, errlog=errors), mode=mode) as client:
            yield client


def message(method: str, number: int | None = None, **params: Any) -> dict[str, Any]:
    """Write a message of JSON-RPC; without a number it is a notification."""
    named = {} if number is None else {"id": number}
    return {"jsonrpc": "2.0", **named, "method": method, "params": params}


def told(answer: CallToolResult) -> dict[str, Any]:
    """Read an answer, which stands in it twice."""
    assert not answer.is_error, answer.content
    assert isinstance(answer.content[0], TextContent)
    assert json.loads(answer.content[0].text) == answer.structured_content
    return dict(answer.structured_content)


def refused(answer: CallToolResult) -> str:
    """Read what is wrong with a call."""
    [content] = answer.content
    assert answer.is_error
    assert isinstance(content, TextContent)
    return content.text


def shown(answer: CallToolResult) -> list[ImageContent]:
    """Take the images out of an answer."""
    return [content for content in answer.content if isinstance(content, ImageContent)]
