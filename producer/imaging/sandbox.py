"""Untrusted images, checked or converted: all decoding happens in a child process with limits.

The child is started when it is first needed, does one thing at a time, and is replaced when it dies or takes too
long, which costs the one picture it was looking at; and now and then, so that nothing heaps up in it.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from contract.artifacts.references import NoReference
from contract.errors.exceptions import Refused
from contract.untrusted.imaging.inspect import MAX_BYTES, MAX_PIXELS, MAX_SIDE
from contract.untrusted.sandbox_process import SandboxProcess
from contract.untrusted.sandbox_protocol import Frame
from producer.error_catalogue import UPLOAD_IMAGE_TOO_LARGE, UPLOAD_NOT_AN_IMAGE

RETOUCH = "producer.imaging.sandbox_child"
WALL_S = 10.0  # for one image; waiting for a turn is not counted
MOST_PICTURES = 200  # of one child
MOST: dict[str, object] = {"max_mib": MAX_BYTES // 2**20, "max_mpx": MAX_PIXELS // 10**6, "max_side": MAX_SIDE}
_REFUSALS = {kind.code: kind for kind in (UPLOAD_IMAGE_TOO_LARGE, UPLOAD_NOT_AN_IMAGE)}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """A stripped image; sizes in pixels, before it is turned."""

    data: bytes = field(repr=False)
    mime: str
    width: int
    height: int


class ImageSandbox:
    """One child at most; an image waits until those before it are done."""

    def __init__(self, *, wall_s: float = WALL_S, most_pictures: int = MOST_PICTURES) -> None:
        self._wall_s = wall_s
        self._most_pictures = most_pictures
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="darkroom-pictures")
        self._child: SandboxProcess | None = None
        self._asked = 0

    async def __aenter__(self) -> ImageSandbox:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the child."""
        self._drop()
        await asyncio.to_thread(self._thread.shutdown)

    async def clean(self, data: bytes) -> Cleaned:
        """Decode an image to its last pixel, and strip trailing data, texts and EXIF except the orientation.

        Nothing is encoded anew; the same object comes back if nothing has to go. Raises Refused
        (`upload_not_an_image`, `upload_image_too_large`).
        """
        found, made = await self._ask(data, task="clean")
        return Cleaned(data=made, mime=found["mime"], width=found["width"], height=found["height"])

    async def mime_of(self, data: bytes) -> str:
        """Decode an image to its last pixel, and return its type. Raises NoReference."""
        try:
            return str((await self._ask(data, task="inspect"))[0]["mime"])
        except Refused as error:
            raise NoReference(is_too_large=error.kind is UPLOAD_IMAGE_TOO_LARGE) from error

    async def thumbnail(self, data: bytes, *, side: int) -> bytes:
        """Make a small JPEG, or a PNG if one can see through, upright. Raises Refused as `clean`."""
        return (await self._ask(data, task="shrink", side=side))[1]

    async def convert(self, data: bytes, *, mime: str, quality: int | None) -> bytes:
        """Encode an image upright as `image/png`, `image/jpeg` or `image/webp`; `quality` is 0 to 100.

        The same object comes back if it is that already and no quality is asked for. Raises Refused as `clean`.
        """
        return (await self._ask(data, task="convert", mime=mime, quality=quality))[1]

    async def _ask(self, data: bytes, **question: Any) -> tuple[dict[str, Any], bytes]:
        async with self._turn:
            found, made = await self._answer(question, data)
        if "refused" in found:
            raise Refused(_REFUSALS[found["refused"]], **MOST)
        if "misused" in found:
            raise ValueError(found["misused"])
        return found, data if found["is_same"] else bytes(made)

    async def _answer(self, question: dict[str, Any], data: bytes) -> Frame:
        child = self._ready()
        try:
            async with asyncio.timeout(self._wall_s):
                return await asyncio.get_running_loop().run_in_executor(self._thread, child.ask, question, data)
        except BaseException as error:
            self._drop()  # also when we were cancelled: it would answer this question to the next asker
            if not isinstance(error, OSError | EOFError | ValueError):
                raise
            logger.warning("a child was lost to a picture of %d bytes: %s", len(data), type(error).__name__)
            kind = UPLOAD_IMAGE_TOO_LARGE if isinstance(error, TimeoutError) else UPLOAD_NOT_AN_IMAGE
            raise Refused(kind) from error

    def _ready(self) -> SandboxProcess:
        if self._child is not None and (self._child.is_dead() or self._asked >= self._most_pictures):
            self._drop()
        if self._child is None:
            self._child, self._asked = SandboxProcess(RETOUCH), 0
        self._asked += 1
        return self._child

    def _drop(self) -> None:
        """Kill the child; its end is awaited in the thread, as giving a gigabyte back takes a while."""
        if self._child is not None:
            self._child.interrupt()
            self._thread.submit(self._child.end)
            self._child = None
