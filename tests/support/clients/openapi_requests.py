"""Every route that the gateway's own OpenAPI page tells of, as a request that could succeed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.factories.images import picture
from tests.support.network.http_client import Answer, Connection

JSON = {"Content-Type": "application/json"}
FOX = json.dumps({"prompt": "a red fox"}).encode()
EDIT = (
    b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\na fox\r\n'
    b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n' + picture() + b"\r\n--b--\r\n"
)
BODIES: Mapping[str, tuple[bytes, dict[str, str]]] = {
    "/v1/jobs": (FOX, JSON),
    "/v1/images/generations": (FOX, JSON),
    "/v1/images/edits": (EDIT, {"Content-Type": "multipart/form-data; boundary=b"}),
    "/v1/uploads": (picture(), {"Content-Type": "image/png"}),
}


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one address, as a template and filled in."""

    method: str
    path: str
    target: str
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)

    async def ask(self, connection: Connection, **headers: str) -> Answer:
        """Ask for it."""
        return await connection.ask(self.method, self.target, self.body, self.headers | headers)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def routes(openapi: Mapping[str, Any], **values: str) -> list[Route]:
    """List all routes, with the parameters of their addresses filled in."""
    return [_route(method.upper(), path, values) for path, known in openapi["paths"].items() for method in known]


def _route(method: str, path: str, values: Mapping[str, str]) -> Route:
    target = re.sub(r"{(\w+)}", lambda found: values[found[1]], path)
    body, headers = BODIES.get(path, (b"", {})) if method == "POST" else (None, {})
    return Route(method, path, target, body, headers)
