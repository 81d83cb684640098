"""Tokens that are revoked: whoever is served for longer is told soon after the file of tokens has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from contract.errors.exceptions import ConfigInvalid
from producer.tokens import LOOK_S, Signature, Tokens


class TokenWatch:
    """Looks at the file of tokens of one gateway."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._change = asyncio.Event()

    async def keep(self, tell: Callable[[], None]) -> None:
        """Look again and again, and tell whenever the file has changed."""
        known: Signature = None
        while True:
            await asyncio.sleep(LOOK_S)
            with suppress(ConfigInvalid):  # it is told to those who ask
                if (found := self._tokens.refresh()) != known:
                    known = found
                    change, self._change = self._change, asyncio.Event()
                    change.set()
                    tell()

    async def until_revoked(self, may_go_on: Callable[[], bool]) -> None:
        """Wait until a token is none any more."""
        while may_go_on():
            await self._change.wait()
