"""The Darkroom that clients ask, and the sessions of clients with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from tests.clients.columns import COLUMNS, Cell
from tests.clients.environment import Environment
from tests.clients.servers import SERVERS
from tests.clients.session import HURRIED, Session
from tests.support.stack.shared_stack import SharedStack


class Desk:
    """A Darkroom with two gateways: as it is by default, and one that does not wait long before it begins an answer."""

    def __init__(self, shared: SharedStack, hurried_url: str) -> None:
        self._shared = shared
        self._hurried_url = hurried_url

    @classmethod
    async def open(cls, shared: SharedStack) -> Desk:
        """Have pictures drawn in the shapes that are asked for, and start the gateway that is in a hurry."""
        shared.stack.simulator.draw_as_asked()
        return cls(shared, await shared.stack.start_gateway(**HURRIED))

    @asynccontextmanager
    async def session(self, environment: Environment) -> AsyncIterator[Session]:
        """Give a client a token, and start what it needs."""
        token = self._shared.account().token
        urls = {"default": self._shared.url, "hurried": self._hurried_url}
        async with SERVERS[environment.client.server](environment, urls, token) as more:
            yield Session(
                environment=environment,
                shared=self._shared,
                hurried_url=self._hurried_url,
                token=token,
                more=more,
            )


async def cells(session: Session) -> Mapping[str, Cell]:
    """Have a client do everything."""
    return {name: await column(session) for name, column in COLUMNS.items()}
