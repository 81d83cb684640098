"""The outermost layer: whom a request is for, where it comes from, and what every answer says.

The host name is checked against a list (or any page could reach a gateway on loopback by rebinding its own name),
pages of other origins change nothing, each request has an id of ours, and nobody who stops reading holds anything up.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contract.errors import Refused
from producer.api.problem import NotRead, answer

SEND_S = 30.0
SAFE = frozenset({"GET", "HEAD"})
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
MAX_TARGET = 8192
HEADERS = {
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
DOCS_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; frame-ancestors 'none'"
)

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[0-9a-z._-]+)(?::([1-9][0-9]{0,4}))?")


class Guard:
    """Lets pass what may come in, and dresses what goes out."""

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str], origins: Sequence[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = "req_" + secrets.token_hex(12)
        scope.setdefault("state", {})["request_id"] = request_id
        sending = _Sending(send, request_id, is_page=scope["path"] == "/docs")
        try:
            self._check(scope)
        except Refused as error:
            await answer(Request(scope), error)(scope, receive, sending)
            return
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}  # the server leaves the body out
        with suppress(NotRead):
            await self._app(scope, receive, sending)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if len(scope.get("raw_path", b"")) + len(scope["query_string"]) > MAX_TARGET:
            raise Refused("url_invalid")
        host = self._host(headers)
        if headers.get("origin") not in {None, f"http://{host}", f"https://{host}"} | self._origins:
            if scope["method"] not in SAFE:
                raise Refused("origin_not_allowed")
        elif self._is_foreign(headers, scope["method"]):
            raise Refused("csrf_rejected")

    def _host(self, headers: Headers) -> str:
        found = headers.getlist("host")
        host = found[0].lower() if len(found) == 1 else ""
        parts = _HOST.fullmatch(host)
        if not parts or parts[1] not in self._hosts or int(parts[2] or 80) > 65_535:
            raise Refused("host_not_allowed")
        return host

    def _is_foreign(self, headers: Headers, method: str) -> bool:
        """Tell whether a browser says that a page of another site wants to change something."""
        site = headers.get("sec-fetch-site", "none")
        return method not in SAFE and site not in ("same-origin", "none") and headers.get("origin") not in self._origins


class _Sending:
    """Sends an answer with the headers that all have, each piece within a time."""

    def __init__(self, send: Send, request_id: str, *, is_page: bool) -> None:
        self._send = send
        self._headers = {**HEADERS, "X-Request-Id": request_id}
        if is_page:
            self._headers["Content-Security-Policy"] = DOCS_POLICY

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in self._headers.items():
                headers.setdefault(name, value)
        try:
            async with asyncio.timeout(SEND_S):
                await self._send(message)
        except TimeoutError as error:
            raise NotRead from error
