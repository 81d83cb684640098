"""Requests of MCP that this gateway makes itself: the handshake of a copy of a session, and the end of one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from mcp_types import DEFAULT_NEGOTIATED_VERSION
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.types import Message, Receive, Scope

_HEADERS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
_NAME = MCP_SESSION_ID_HEADER.encode()


def hello(version: str | None) -> dict[str, Any]:
    """Write the request that opens a copy, in the version of the client's requests; without one it is the first."""
    known = version if version in HANDSHAKE_PROTOCOL_VERSIONS else DEFAULT_NEGOTIATED_VERSION
    client = {"name": "darkroom", "version": "1"}
    params = {"protocolVersion": known, "capabilities": {}, "clientInfo": client}
    return {"jsonrpc": "2.0", "id": "copy", "method": "initialize", "params": params}


def ready() -> dict[str, Any]:
    """Write the message that ends the handshake."""
    return {"jsonrpc": "2.0", "method": "notifications/initialized"}


def cancelled(call: str | int, reason: str) -> dict[str, Any]:
    """Write the message that cancels a call."""
    params = {"requestId": call, "reason": reason}
    return {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}


def request_of(method: str, session_id: str, message: Mapping[str, Any] | None = None) -> tuple[Scope, Receive]:
    """Make a request of a session, or of none yet."""
    headers = _HEADERS | ({MCP_SESSION_ID_HEADER: session_id} if session_id else {})
    scope: Scope = {
        "type": "http",
        "method": method,
        "path": "/mcp",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    bodies = [json.dumps(message).encode() if message else b""]

    async def receive() -> Message:
        if not bodies:
            await asyncio.Event().wait()  # the sender does not go away
        return {"type": "http.request", "body": bodies.pop(), "more_body": False}

    return scope, receive


def renamed(headers: list[tuple[bytes, bytes]], session_id: str) -> list[tuple[bytes, bytes]]:
    """Call the session in headers by another id, if one is in them."""
    return [(name, session_id.encode() if name.lower() == _NAME else value) for name, value in headers]


async def unheard(_: Message) -> None:
    """Send to nobody."""
