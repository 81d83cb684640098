"""The outermost layer: whom a request is for, where it comes from, and what every answer says.

The host name is checked against a list (or any page could reach a gateway on loopback by rebinding its own name),
pages of other origins change nothing unless they are listed, and each request has an id of ours.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contract.errors.exceptions import DarkroomError, Refused
from contract.telemetry.logs import about
from producer.error_catalogue import CSRF_REJECTED, HOST_NOT_ALLOWED, NOT_FOUND, ORIGIN_NOT_ALLOWED, URL_INVALID

SAFE = frozenset({"GET", "HEAD"})
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
MAX_TARGET = 8192
SLASHED = "/v1/models/"  # where a name may have a slash
HEADERS = {
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
PREFLIGHT = {  # what pages of listed origins may send
    "Access-Control-Allow-Methods": "DELETE, GET, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, "
    "Mcp-Method, Mcp-Name, Mcp-Protocol-Version, Mcp-Session-Id, Prefer, Range, X-Darkroom-User",
    "Access-Control-Max-Age": "600",
}

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[0-9a-z._-]+)(?::([1-9][0-9]{0,4}))?")


class SecurityMiddleware:
    """Lets pass what may come in, and dresses what goes out."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Iterable[str],
        origins: Sequence[str],
        refuse: Callable[[Request, DarkroomError], Response],
    ) -> None:
        self._app = app
        self._refuse = refuse
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = new_request_id()
        scope.setdefault("state", {})["request_id"] = request_id
        origin = Headers(scope=scope).get("origin", "")
        shown_to = shared(origin) if origin in self._origins else {}
        dress = dressed(request_id) | shown_to
        sending = _Sending(send, dress, scope["method"], is_expected=Headers(scope=scope).get("expect") is not None)
        try:
            self._check(scope)
        except Refused as error:
            await self._refuse(Request(scope), error)(scope, receive, sending)
            return
        if shown_to and scope["method"] == "OPTIONS":
            await Response(status_code=204, headers=PREFLIGHT)(scope, receive, sending)
            return
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}

        async def received() -> Message:
            sending.is_expected = False
            return await receive()

        with about(request_id=request_id):
            await self._app(scope, received, sending)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if len(scope.get("raw_path", b"")) + len(scope["query_string"]) > MAX_TARGET:
            raise Refused(URL_INVALID)
        if b"%2f" in scope.get("raw_path", b"").lower() and not scope["path"].startswith(SLASHED):
            raise Refused(NOT_FOUND)  # it would be read as a border between two names
        host = self._host(headers)
        if headers.get("origin") not in {None, f"http://{host}", f"https://{host}"} | self._origins:
            if scope["method"] not in SAFE:
                raise Refused(ORIGIN_NOT_ALLOWED)
        elif self._is_foreign(headers, scope["method"]):
            raise Refused(CSRF_REJECTED)

    def _host(self, headers: Headers) -> str:
        found = headers.getlist("host")
        host = found[0].lower() if len(found) == 1 else ""
        parts = _HOST.fullmatch(host)
        if not parts or parts[1] not in self._hosts or int(parts[2] or 80) > 65_535:
            raise Refused(HOST_NOT_ALLOWED)
        return host

    def _is_foreign(self, headers: Headers, method: str) -> bool:
        """Tell whether a browser says that a page of another site wants to change something."""
        site = headers.get("sec-fetch-site", "none")
        return method not in SAFE and site not in ("same-origin", "none") and headers.get("origin") not in self._origins


def new_request_id() -> str:
    """Name a request; what its client calls it is not used."""
    return "req_" + secrets.token_hex(12)


def dressed(request_id: str) -> dict[str, str]:
    """List the headers that every answer has unless it has its own."""
    return {**HEADERS, "X-Request-Id": request_id}


def shared(origin: str) -> dict[str, str]:
    """List the headers that let pages of an origin read an answer."""
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": "*", "Vary": "Origin"}


class _Sending:
    """Sends an answer with the headers that all have; to HEAD, its head only.

    A client that waits to be asked for its body, and is not, is told that nothing more is read from it.
    """

    def __init__(self, send: Send, headers: dict[str, str], method: str, *, is_expected: bool) -> None:
        self.is_expected = is_expected  # to ask for the body
        self._send = send
        self._headers = headers
        self._is_head = method == "HEAD"

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in self._headers.items():
                headers.setdefault(name, value)
            if self.is_expected:
                headers["Connection"] = "close"
        elif self._is_head:
            return
        await self._send(message)
        if self._is_head:  # also when the body would go on for as long as a job does
            await self._send({"type": "http.response.body"})
