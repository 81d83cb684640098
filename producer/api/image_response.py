"""An image as an answer: in pieces, so that a slow client costs no memory, and in parts for who asks by `Range`."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, nullcontext
from email.utils import formatdate
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from contract.artifacts.artifact_store import OpenImage
from contract.errors.exceptions import Refused
from producer.api.services.piece_turns import Turn
from producer.error_catalogue import RANGE_NOT_SATISFIABLE

PIECE_BYTES = 256 * 1024

_RANGE = re.compile(r"bytes=(?:([0-9]{1,15})-([0-9]{1,15})?|-([1-9][0-9]{0,14}))")


class Part(NamedTuple):
    """The bytes of an image from `first` on, up to `end`, which is not one of them."""

    first: int
    end: int


def choose_part(asked: Headers, size: int, *, unchanged: tuple[str, str]) -> Part | None:
    """Tell which part `Range` asks for, if it asks for one; whatever else it may say is ignored, as it is only a wish.

    An `If-Range` that is none of `unchanged`, ETag and date, makes it the whole. Raises Refused.
    """
    found = _RANGE.fullmatch(asked.get("range", ""))
    if found is None:
        return None
    first = int(found[1]) if found[1] else max(0, size - int(found[3]))
    last = min(size - 1, int(found[2])) if found[2] else size - 1
    if found[2] and int(found[2]) < first:
        return None
    if first >= size:
        raise Refused(RANGE_NOT_SATISFIABLE, headers={"Content-Range": f"bytes */{size}"})
    if asked.get("if-range", unchanged[0]) not in unchanged:
        return None
    return Part(first, last + 1)


class ImageFileResponse(StreamingResponse):
    """An open image, or a part of it; it is closed when the answer has left, or its client."""

    def __init__(
        self,
        asked: Headers,
        image: OpenImage,
        *,
        mime: str,
        headers: Mapping[str, str],
        place: ExitStack,
        turn: Turn = nullcontext,
    ) -> None:
        """Answer what was asked for, and take over its `place` among the answers. Raises Refused."""
        stored = image.stored
        more, part = _about(asked, stored.bytes, stored.modified_at, headers)
        pieces = _pieces(image, part or Part(0, stored.bytes), turn)
        super().__init__(pieces, 206 if part else 200, headers=more, media_type=mime)
        self._image = image
        self._place = place.pop_all()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        with self._place:
            try:
                await super().__call__(scope, receive, send)
            finally:
                await self._image.close()


def copy_response(asked: Headers, data: bytes, *, made_at: float, mime: str, headers: Mapping[str, str]) -> Response:
    """Answer a smaller copy, or the part of it that was asked for. Raises Refused."""
    more, part = _about(asked, len(data), made_at, headers)
    return Response(data[part.first : part.end] if part else data, 206 if part else 200, headers=more, media_type=mime)


def _about(
    asked: Headers, size: int, modified_at: float, headers: Mapping[str, str]
) -> tuple[dict[str, str], Part | None]:
    date = formatdate(modified_at, usegmt=True)
    part = choose_part(asked, size, unchanged=(headers["ETag"], date))
    more = {**headers, "Accept-Ranges": "bytes", "Last-Modified": date}
    if part is None:
        return more | {"Content-Length": str(size)}, None
    shown = f"bytes {part.first}-{part.end - 1}/{size}"
    return more | {"Content-Length": str(part.end - part.first), "Content-Range": shown}, part


async def _pieces(image: OpenImage, part: Part, turn: Turn) -> AsyncIterator[bytes]:
    for first in range(part.first, part.end, PIECE_BYTES):
        async with turn():
            piece = await image.read(first=first, most=min(PIECE_BYTES, part.end - first))
        yield piece
