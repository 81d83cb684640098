"""Large responses: JSON with images in it, composed and sent in chunks.

As one text, eight pictures of 8 MB would stop the event loop for half a second; and a client that does not read
would hold all of it for ever.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

PIECE = 2**18  # bytes
MARK = secrets.token_hex(16)  # stands in place of an image


def interleave(document: object, pictures: Iterable[bytes]) -> list[bytes]:
    """Write a document as JSON, with base64 images in place of each MARK, in order; they are not copied."""
    first, *others = json.dumps(document).encode().split(MARK.encode())
    return [first, *chain.from_iterable(zip(pictures, others, strict=True))]


class ChunkedJSONResponse(Response):
    """An answer of several parts, of which a client gets the next piece when it has taken the one before."""

    def __init__(self, parts: list[bytes], *, headers: Mapping[str, str]) -> None:
        length = str(sum(map(len, parts)))
        super().__init__(headers={**headers, "Content-Length": length}, media_type="application/json")
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send_parts(send, self._parts)


async def send_parts(send: Send, parts: Iterable[bytes]) -> None:
    """Send what is left of an answer."""
    for part in parts:
        for piece in cut(part):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0)  # a client that takes everything at once does not hold up the others
    await send({"type": "http.response.body", "body": b""})


def cut(part: bytes) -> Iterator[bytes]:
    """Cut what may be large into pieces."""
    return (part[start : start + PIECE] for start in range(0, len(part), PIECE))
