"""What every route works with: built once in `app.py`, found through the request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from contract.errors.exceptions import Refused
from contract.settings.installation_secret import InstallationSecret
from contract.settings.loader import Settings
from producer.api.server.owner_turns import OwnerTurns
from producer.api.services.body_budget import BodyBudget
from producer.api.services.cancel_on_disconnect import DisconnectTracker
from producer.api.services.rate_limits import Rates
from producer.api.services.readiness import Readiness
from producer.api.services.signed_links import SignedLinks
from producer.api.services.token_watch import TokenWatch
from producer.api.services.waits import Waits
from producer.client.connections import Connections
from producer.error_catalogue import TOO_MANY_STREAMS
from producer.imaging.sandbox import ImageSandbox
from producer.imaging.thumbnails import Thumbnails
from producer.tokens import Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """The parts of one gateway process."""

    settings: Settings
    connections: Connections
    tokens: Tokens
    token_watch: TokenWatch
    secret: InstallationSecret
    links: SignedLinks
    rates: Rates
    pictures: ImageSandbox
    thumbnails: Thumbnails
    disconnects: DisconnectTracker
    waits: Waits
    bodies: BodyBudget = field(default_factory=BodyBudget)
    turns: OwnerTurns = field(default_factory=OwnerTurns)
    streams: Counter[str] = field(default_factory=Counter)  # how many each owner follows

    @contextmanager
    def stream(self, owner: str) -> Iterator[None]:
        """Count a stream while it lasts. Raises Refused (`too_many_streams`, `too_many_waits`, `too_busy`)."""
        most = self.settings.env.max_streams_per_owner
        if self.streams[owner] >= most:
            raise Refused(TOO_MANY_STREAMS, max=most, retry_after_s=5)
        self.streams[owner] += 1
        try:
            with self.waits.join(owner):
                yield
        finally:
            self.streams[owner] -= 1
            if not self.streams[owner]:
                del self.streams[owner]

    @property
    def readiness(self) -> Readiness:
        """Look at what this gateway needs."""
        return Readiness(self.settings, self.connections, self.secret)


async def gateway_of(request: Request) -> Gateway:
    """Find the gateway that a request came to."""
    gateway: Gateway = request.app.state.gateway
    return gateway


Here = Annotated[Gateway, Depends(gateway_of)]
