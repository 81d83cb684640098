"""A tarpit: a client that is refused again and again waits for its refusals, so that they cost others nothing.

A client in a loop asks again as soon as it is answered. Refusals of one owner with a token, or of all clients without
one, are answered at a limited rate; the first ones in a row are answered at once.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict

from starlette.types import ASGIApp, Message, Receive, Scope, Send

OF_GOOD_CLIENTS = frozenset({404, 409})  # what is not there any more, which has a rate of its own, or has ended
AT_ONCE = 50
PER_S = 20.0
MOST_S = 1.0
MOST_KNOWN = 10_000


class RefusalDelay:
    """Delays refusals, by token."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._rates = RefusalRates()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def delayed(message: Message) -> None:
            caller = scope.get("state", {}).get("caller")
            if message["type"] == "http.response.start" and _is_refusal(message["status"], is_known=bool(caller)):
                name = f"{caller.token.name}\n{caller.owner}" if caller else ""
                await asyncio.sleep(self._rates.delay_s(name, time.monotonic()))
            await send(message)

        await self._app(scope, receive, delayed)


def _is_refusal(status: int, *, is_known: bool) -> bool:
    return 400 <= status < 500 and not (is_known and status in OF_GOOD_CLIENTS)


class RefusalRates:
    """The generic cell rate algorithm: for each name the moment up to which its refusals are paid for."""

    def __init__(self) -> None:
        self._paid_until: OrderedDict[str, float] = OrderedDict()

    def delay_s(self, name: str, now: float) -> float:
        """Count a refusal; tell how many seconds it has to wait."""
        paid_until = max(self._paid_until.pop(name, 0.0), now - AT_ONCE / PER_S) + 1 / PER_S
        self._paid_until[name] = min(paid_until, now + MOST_S)
        if len(self._paid_until) > MOST_KNOWN:
            self._paid_until.popitem(last=False)
        return max(0.0, self._paid_until[name] - now)
