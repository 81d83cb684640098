"""Large responses: JSON with images in it, which are read and encoded while they leave, piece by piece.

As one text, eight pictures of 8 MB would stop the event loop for half a second; and a client that does not read
would hold all of it for ever.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from typing import IO

import pybase64
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from contract.artifacts.artifact_store import ArtifactStore
from producer.api.services.piece_turns import Turn

PIECE = 2**18  # bytes
RAW = PIECE // 4 * 3  # bytes of an image that become a piece of base64
END = b"\n"  # of the line, for who reads it in a terminal
MARK = secrets.token_hex(16)  # stands in place of an image

logger = logging.getLogger(__name__)


class Base64Image(ABC):
    """An image of a known size that leaves as base64, a piece at each turn."""

    def __init__(self, size: int, turn: Turn) -> None:
        self.size = size
        self.turn = turn

    def __len__(self) -> int:
        """Tell how many bytes leave."""
        return (self.size + 2) // 3 * 4

    @abstractmethod
    def pieces(self) -> AsyncIterator[bytes]:
        """Encode it piece by piece. Raises OSError when it is there no longer."""


class StoredBase64(Base64Image):
    """An image of the artifact store; it is open only while it leaves."""

    def __init__(self, artifacts: ArtifactStore, locator: str, size: int, turn: Turn = nullcontext) -> None:
        super().__init__(size, turn)
        self._artifacts = artifacts
        self.locator = locator

    async def pieces(self) -> AsyncIterator[bytes]:
        """Read and encode it. Raises OSError."""
        image = await self._artifacts.open(self.locator)
        try:
            if image.stored.bytes != self.size:
                raise FileNotFoundError
            for first in range(0, self.size, RAW):
                async with self.turn():
                    piece = pybase64.b64encode(await image.read(first=first, most=min(RAW, self.size - first)))
                yield piece
        finally:
            await image.close()


class SpooledBase64(Base64Image):
    """An image in a file of our own."""

    def __init__(self, file: IO[bytes], data: bytes, turn: Turn = nullcontext) -> None:
        """Put it there. Raises OSError."""
        super().__init__(len(data), turn)
        file.write(data)
        self._file = file

    async def pieces(self) -> AsyncIterator[bytes]:
        """Read and encode it. Raises OSError."""
        self._file.seek(0)
        for _ in range(0, self.size, RAW):
            async with self.turn():
                piece = pybase64.b64encode(await asyncio.to_thread(self._file.read, RAW))
            yield piece


Part = bytes | Base64Image


def interleave(document: object, pictures: Iterable[Part]) -> list[Part]:
    """Write a document as JSON, with base64 images in place of each MARK, in order; they are not copied."""
    first, *others = json.dumps(document).encode().split(MARK.encode())
    return [first, *chain.from_iterable(zip(pictures, others, strict=True))]


class ChunkedJSONResponse(Response):
    """An answer of several parts, of which a client gets the next piece when it has taken the one before.

    It keeps its `place` among the answers until it has left.
    """

    def __init__(
        self, parts: list[Part], *, headers: Mapping[str, str], place: AbstractContextManager[object] | None = None
    ) -> None:
        parts = [*parts, END]
        length = str(sum(map(len, parts)))
        super().__init__(headers={**headers, "Content-Length": length}, media_type="application/json")
        self._parts = parts
        self._place = place or nullcontext()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        with self._place:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await send_parts(send, self._parts)


async def send_parts(send: Send, parts: Iterable[Part]) -> None:
    """Send what is left of an answer; one whose image is deleted meanwhile breaks off."""
    try:
        async for piece in pieces_of(parts):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0)  # a client that takes everything at once does not hold up the others
    except FileNotFoundError:
        logger.warning("an answer broke off: its image was deleted meanwhile")
        return
    await send({"type": "http.response.body", "body": b""})


async def pieces_of(parts: Iterable[Part]) -> AsyncIterator[bytes]:
    """Cut what may be large into pieces. Raises OSError when an image is there no longer."""
    for part in parts:
        if isinstance(part, Base64Image):
            async for piece in part.pieces():
                yield piece
        else:
            for start in range(0, len(part), PIECE):
                yield part[start : start + PIECE]
