"""OpenAI's addresses as clients write them: with a slash too many, without `/v1`, or as Azure has them.

Azure names the model in the address: `/openai/deployments/{name}/images/generations`.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote

from starlette.types import ASGIApp, Receive, Scope, Send

ROOTS = frozenset({"audio", "chat", "completions", "embeddings", "images", "models", "moderations", "responses"})
PREFIXES = ("openai", "v1")
DEPLOYMENTS = "deployments"


class Address(NamedTuple):
    """An address as our routes have it, and the model that it names."""

    path: str
    deployment: str = ""


def read_address(path: str) -> Address | None:
    """Read an address of OpenAI's or Azure's API; None if it is none."""
    parts = [part for part in path.split("/") if part]
    start = next((index for index, part in enumerate(parts) if part not in PREFIXES), len(parts))
    prefixes, parts, deployment = parts[:start], parts[start:], ""
    if parts[:1] == [DEPLOYMENTS]:
        root = next((index for index, part in enumerate(parts) if part in ROOTS and index > 1), len(parts))
        deployment, parts = "/".join(parts[1:root]), parts[root:]
    if not parts or parts[0] not in ROOTS or (not prefixes and len(parts) < 2 and parts != ["models"]):
        return None
    return Address("/v1/" + "/".join(parts), deployment)


class OpenAIAddresses:
    """Serves them all at the addresses of our routes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one."""
        if scope["type"] == "http" and (found := read_address(scope["path"])) and found.path != scope["path"]:
            state = scope.get("state", {}) | {"asked_path": scope["path"], "deployment": found.deployment}
            raw = quote(found.path).encode() if found.deployment else scope.get("raw_path", b"")
            scope = {**scope, "path": found.path, "raw_path": raw, "state": state}
        await self._app(scope, receive, send)
