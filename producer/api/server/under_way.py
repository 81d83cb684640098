"""Requests of one token that are under way: beyond a number they are refused before anything is looked at.

Thousands of long polls of one client cost a tenth this way. A token that speaks for many end users has no such bound
here, as each of them has bounds of its own.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contract.errors.exceptions import DarkroomError, Refused
from producer.error_catalogue import TOO_MANY_AT_ONCE
from producer.tokens import Right

DELAY_S = 1.0
RETRY_S = 1
MOST_KNOWN = 10_000

Refuse = Callable[[Request, DarkroomError], Response]


def token_of(scope: Mapping[str, Any]) -> bytes:
    """Find the token of a request, however its header is spelt, or nothing."""
    headers = dict(scope.get("headers", ()))
    return bare(headers.get(b"authorization") or headers.get(b"api-key", b""))


def bare(header: bytes) -> bytes:
    """Take a token from its header."""
    return b"".join(header.split()[-1:])


class UnderWay:
    """Counts them by the header that has the token."""

    def __init__(self, app: ASGIApp, *, most: int, refuse: Refuse) -> None:
        self._app = app
        self._most = most
        self._refuse = refuse
        self._count: Counter[bytes] = Counter()
        self._of_one_user: OrderedDict[bytes, None] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = token_of(scope)
        if self._count[token] >= self._most and token in self._of_one_user:
            await asyncio.sleep(DELAY_S)  # the client asks again as soon as it is answered
            error = Refused(TOO_MANY_AT_ONCE, retry_after_s=RETRY_S, headers={"Connection": "close"})
            await self._refuse(Request(scope), error)(scope, receive, send)
            return

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._note(token, scope)
            await send(message)

        self._count[token] += 1
        try:
            await self._app(scope, receive, noting)
        finally:
            self._count[token] -= 1
            if not self._count[token]:
                del self._count[token]

    def _note(self, token: bytes, scope: Scope) -> None:
        """Remember whose token this is, now that it was found good."""
        caller = scope.get("state", {}).get("caller")
        if not token or caller is None or caller.may(Right.USERS):
            return
        self._of_one_user[token] = None
        self._of_one_user.move_to_end(token)
        if len(self._of_one_user) > MOST_KNOWN:
            self._of_one_user.popitem(last=False)
