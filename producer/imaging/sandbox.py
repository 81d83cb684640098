"""Untrusted images, checked or converted: all decoding happens in child processes with limits.

A child is started when it is first needed, does one thing at a time, and is replaced when it dies or takes too
long, which costs the one picture it was looking at; and now and then, so that nothing heaps up in it. Small copies of
images that are known to be no larger than 4K have a child of their own: they wait for no large upload.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any

from contract.artifacts.references import DecodedImage, NoReference
from contract.errors.catalogue.job_failure import INTERNAL_ERROR
from contract.errors.exceptions import DarkroomError, Refused
from contract.untrusted.sandbox_pool import ChildLost, SandboxPool
from producer.error_catalogue import UPLOAD_IMAGE_TOO_LARGE, UPLOAD_NOT_AN_IMAGE
from producer.imaging.turns import Asker, Turns

CHILD = "producer.imaging.sandbox_child"
WALL_S = 10.0  # for one image; waiting for a turn is not counted
MOST_PICTURES = 200  # of one child
QUICK_PIXELS = 17 * 10**6  # a 4K image; it takes a child 150 MiB
ANYONE = Asker()
_REFUSALS = {"too_large": UPLOAD_IMAGE_TOO_LARGE, "not_an_image": UPLOAD_NOT_AN_IMAGE}  # as the child says it

Picture = bytes | Callable[[], Awaitable[bytes]]  # what is read only when its turn has come takes no memory before
Answer = tuple[dict[str, Any], bytes]

logger = logging.getLogger(__name__)


class _Child:
    """A child, and those who wait for it."""

    def __init__(self, *, wall_s: float, most_pictures: int) -> None:
        self.turns = Turns()
        self.pool = SandboxPool(CHILD, size=1, wall_s=wall_s, most_questions=most_pictures)


class ImageSandbox:
    """Two children at most; images wait for their turns. Each method may refuse as `Turns.take` does."""

    def __init__(self, *, wall_s: float = WALL_S, most_pictures: int = MOST_PICTURES) -> None:
        self._any = _Child(wall_s=wall_s, most_pictures=most_pictures)
        self._quick = _Child(wall_s=wall_s, most_pictures=most_pictures)

    async def __aenter__(self) -> ImageSandbox:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the children."""
        await asyncio.gather(self._any.pool.close(), self._quick.pool.close())

    async def adopt(self, picture: Picture, asker: Asker = ANYONE) -> DecodedImage:
        """Decode an image to its last pixel, and make a reference of it.

        Trailing data, texts and EXIF are stripped. What lies on its side is turned, what is too large to be sent is
        made smaller, and AVIF and HEIC become JPEG or PNG; otherwise nothing is encoded anew, and the same object comes
        back if nothing has to go. Raises Refused (`upload_not_an_image`, `upload_image_too_large`).
        """
        async with self.adopted(picture, asker) as image:
            return image

    @asynccontextmanager
    async def adopted(self, picture: Picture, asker: Asker = ANYONE) -> AsyncIterator[DecodedImage]:
        """Adopt an image, and keep the turn to the end of the block: what is done there holds one image at a time."""
        async with self._turn(picture, asker, task="adopt") as (found, made):
            yield DecodedImage(made, found["mime"], found["width"], found["height"])

    @asynccontextmanager
    async def decoded(self, picture: Picture, owner: str = "") -> AsyncIterator[DecodedImage]:
        """Adopt an owner's image as `adopted` does. Raises NoReference, Refused."""
        try:
            async with self.adopted(picture, Asker(owner)) as image:
                yield image
        except Refused as error:
            if error.kind not in _REFUSALS.values():
                raise
            raise NoReference(is_too_large=error.kind is UPLOAD_IMAGE_TOO_LARGE, **error.values) from error

    async def thumbnail(self, picture: Picture, *, side: int, pixels: float = math.inf, asker: Asker = ANYONE) -> bytes:
        """Make a small JPEG, or a PNG if one can see through, upright; the image is known to have so many pixels.

        Raises Refused as `adopt`.
        """
        child = self._quick if pixels <= QUICK_PIXELS else self._any
        return (await self._ask(picture, asker, child, is_urgent=True, task="shrink", side=side))[1]

    async def convert(self, picture: Picture, *, mime: str, quality: int | None, asker: Asker = ANYONE) -> bytes:
        """Encode an image upright as `image/png`, `image/jpeg` or `image/webp`; `quality` is 0 to 100.

        The same object comes back if it is that already and no quality is asked for. Raises Refused as `adopt`.
        """
        return (await self._ask(picture, asker, task="convert", mime=mime, quality=quality))[1]

    async def _ask(
        self, picture: Picture, asker: Asker, child: _Child | None = None, *, is_urgent: bool = False, **question: Any
    ) -> Answer:
        async with self._turn(picture, asker, child, is_urgent=is_urgent, **question) as answer:
            return answer

    @asynccontextmanager
    async def _turn(
        self, picture: Picture, asker: Asker, child: _Child | None = None, *, is_urgent: bool = False, **question: Any
    ) -> AsyncIterator[Answer]:
        """Read an image when its turn has come, and have a child do something with it."""
        child = child or self._any
        async with child.turns.take(asker, is_urgent=is_urgent):
            yield await self._put(child.pool, picture if isinstance(picture, bytes) else await picture(), question)

    async def _put(self, pool: SandboxPool, data: bytes, question: dict[str, Any]) -> Answer:
        try:
            found, made = await pool.ask(question, data)
        except ChildLost as error:
            reason = type(error.__cause__).__name__
            logger.warning("a child was lost to an image of %d bytes: %s", len(data), reason)
            if error.is_unstarted:
                raise DarkroomError(INTERNAL_ERROR) from error
            raise Refused(UPLOAD_IMAGE_TOO_LARGE if error.is_late else UPLOAD_NOT_AN_IMAGE) from error
        if "refused" in found:
            kind = _REFUSALS[found.pop("refused")]
            raise Refused(kind, **found)
        if "misused" in found:
            raise ValueError(found["misused"])
        return found, data if found["is_same"] else bytes(made)
