"""Group mcp: messages that are none, and sessions that are not one's own; what tools refuse is with its test."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.clients.mcp import message

ACCEPT = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


def called(tool: str, **arguments: Any) -> dict[str, Any]:
    """Write a call of a tool."""
    return message("tools/call", 2, name=tool, arguments=arguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What is said to /mcp within a session, and the status and the code of JSON-RPC that it gets."""

    what: str
    status: int
    code: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name it in a test's name."""
        return self.what


def said(what: str, status: int, code: int, body: object, **headers: str) -> Said:
    """Say some JSON, or some bytes as they are."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Said(what=what, status=status, code=code, body=data, headers=named)


LIST = message("tools/list", 2)
SAID = [
    said("no JSON", 400, -32700, b"canary"),
    said("broken characters", 400, -32700, b'{"canary": "\xff"}'),
    said("a key twice", 400, -32700, b'{"jsonrpc": "2.0", "jsonrpc": "2.0", "id": 1, "method": "canary"}'),
    said("deep", 400, -32700, b"[" * 40_000),
    said("batch", 400, -32600, [LIST]),
    said("batch of 10,000", 400, -32700, [LIST | {"params": {"canary": [1, 2]}}] * 10_000),
    said("empty batch", 400, -32600, []),
    said("text", 400, -32600, "canary"),
    said("no version", 400, -32600, {"id": 1, "method": "canary"}),
    said("another version", 400, -32600, LIST | {"jsonrpc": "1.0"}),
    said("a method of no text", 400, -32600, LIST | {"method": {"canary": 1}}),
    said("an id of no kind", 400, -32600, LIST | {"id": {"canary": 1}}),
    said("unknown method", 200, -32601, message("canary/list", 2)),
    said("unknown tool", 200, -32602, called("canary")),
    said("no tool", 200, -32602, message("tools/call", 2, arguments={"canary": 1})),
    said("arguments of no object", 200, -32602, message("tools/call", 2, name="generate_image", arguments=["canary"])),
    said("unknown session", 404, -32600, LIST, Mcp_Session_Id="canary"),
    said("empty session", 404, -32600, LIST, Mcp_Session_Id=""),
    said("no session", 400, -32600, LIST, Mcp_Session_Id="none"),
    said("junk version of the protocol", 400, -32602, LIST, Mcp_Protocol_Version="canary"),
]
OUTSIDE = ("/home/x/.ssh/id_rsa", "/etc/passwd", "../../etc/passwd", "~/.ssh/id_rsa", "file:///etc/passwd")
