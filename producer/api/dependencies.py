"""What every route works with: built once in `app.py`, found through the request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from contract.settings.installation_secret import InstallationSecret
from contract.settings.loader import Settings
from producer.api.services.body_budget import BodyBudget
from producer.api.services.cancel_on_disconnect import DisconnectTracker
from producer.api.services.owner_turns import OwnerTurns
from producer.api.services.piece_turns import PieceTurns
from producer.api.services.rate_limits import Rates
from producer.api.services.readiness import Readiness
from producer.api.services.signed_links import SignedLinks
from producer.api.services.streams import Streams
from producer.api.services.waits import Waits
from producer.client.connections import Connections
from producer.error_catalogue import TOO_MANY_ANSWERS
from producer.imaging.sandbox import ImageSandbox
from producer.imaging.thumbnails import Thumbnails
from producer.token_watch import TokenWatch
from producer.tokens import Tokens

MOST_ANSWERS, MOST_ANSWERS_EACH = 256, 32  # with images that leave at a time, each with a megabyte of memory
MOST_TOOL_ANSWERS, MOST_TOOL_ANSWERS_EACH = 32, 8  # of MCP, whose SDK has them whole, some ten megabytes each


def _leaving(most: int, most_each: int) -> Waits:
    return Waits(most=most, most_each=most_each, refusal=TOO_MANY_ANSWERS)


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
    streams: Streams
    bodies: BodyBudget = field(default_factory=BodyBudget)
    answers: Waits = field(default_factory=lambda: _leaving(MOST_ANSWERS, MOST_ANSWERS_EACH))  # with images
    copies: Waits = field(default_factory=lambda: _leaving(MOST_ANSWERS, MOST_ANSWERS_EACH))  # converted images on disk
    pieces: PieceTurns = field(default_factory=PieceTurns)
    tool_answers: Waits = field(default_factory=lambda: _leaving(MOST_TOOL_ANSWERS, MOST_TOOL_ANSWERS_EACH))
    turns: OwnerTurns = field(default_factory=OwnerTurns)

    @asynccontextmanager
    async def stream(self, owner: str) -> AsyncIterator[None]:
        """Count a stream while it lasts. Raises Refused (`too_many_streams`, `too_many_waits`, `too_busy`)."""
        with self.waits.join(owner):
            async with self.streams.follow(owner):
                yield

    @property
    def readiness(self) -> Readiness:
        """Look at what this gateway needs."""
        return Readiness(self.settings, self.connections, self.secret)


async def gateway_of(request: Request) -> Gateway:
    """Find the gateway that a request came to."""
    gateway: Gateway = request.app.state.gateway
    return gateway


Here = Annotated[Gateway, Depends(gateway_of)]
