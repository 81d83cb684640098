"""What passes between us and a child process: a line of JSON, then as many bytes as it says; blocking."""

from __future__ import annotations

import json
import socket
from typing import Any

MAX_HEAD = 64 * 1024  # bytes

Frame = tuple[dict[str, Any], bytearray]


def send(connection: socket.socket, head: dict[str, Any], body: bytes | bytearray) -> None:
    """Send a frame; large bodies are not copied. Raises OSError."""
    connection.sendall(json.dumps({**head, "length": len(body)}).encode() + b"\n")
    connection.sendall(body)


def receive(connection: socket.socket) -> Frame:
    """Wait for a whole frame. Raises OSError, EOFError, ValueError."""
    with connection.makefile("rb", buffering=0) as incoming:
        head = incoming.readline(MAX_HEAD)
    if not head.endswith(b"\n"):
        raise EOFError
    found = json.loads(head)
    body = bytearray(found.pop("length"))
    filled = 0
    with memoryview(body) as view:
        while filled < len(body):
            if not (more := connection.recv_into(view[filled:])):
                raise EOFError
            filled += more
    return found, body
