"""A few child processes that read answers and pictures for this worker (`worker/sandbox/child.py`).

A child that dies, or takes too long, costs the one picture that it was looking at, and is replaced.
"""

from __future__ import annotations

import ctypes
import logging
from contextlib import suppress
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any, NamedTuple
from weakref import finalize

from contract.errors.catalogue.provider import BAD_IMAGE, PROVIDER_BAD_ANSWER
from contract.untrusted.imaging.limits import EXTENSIONS
from contract.untrusted.sandbox_pool import ChildLost, SandboxPool
from contract.untrusted.sandbox_process import LARGE_BYTES, MEMORY_BYTES
from worker.answers.errors import Interrupted, revive

CHILDREN = 2
READER = "worker.sandbox.child"
M_MMAP_THRESHOLD = -3  # of malloc.h
WHOLE_S = 60.0

logger = logging.getLogger(__name__)


def return_large_blocks() -> None:
    """Have glibc give large blocks back to the system at once; elsewhere nothing happens."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture that has been decoded to its last pixel; its size is upright, and `warnings` are in words."""

    data: bytes | bytearray = field(repr=False)
    mime: str
    width: int
    height: int
    sha256: str
    warnings: tuple[str, ...] = ()

    @property
    def extension(self) -> str:
        """Name the file ending for this type, without a dot."""
        return EXTENSIONS[self.mime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What an answer holds: a picture, or a link to it, or where to ask again, or nothing yet."""

    picture: Picture | None = None
    more: tuple[Picture, ...] = ()  # good pictures of the same answer
    extras: int = 0  # pictures of the answer that were not wanted, or not good
    left: int = 0  # of these, not decoded
    link: str | None = field(default=None, repr=False)
    links: tuple[str, ...] = field(default=(), repr=False)  # further ones
    poll_url: str | None = field(default=None, repr=False)
    is_done: bool = False  # a poll says that nothing more will come
    cost_usd: float | None = None

    @property
    def size(self) -> int:
        """Count the bytes of its pictures."""
        return sum(len(picture.data) for picture in (self.picture, *self.more) if picture)


class ShrunkImage(NamedTuple):
    """A smaller copy of a reference image."""

    data: bytes
    mime: str


class Sandbox:
    """The children of one worker; a body waits until one is free."""

    def __init__(self, *, children: int = CHILDREN, beside: int = MEMORY_BYTES) -> None:
        """Start the first child; what needs more memory than a child may take `beside` another one is read alone."""
        self._lock = TemporaryFile()  # noqa: SIM115
        finalize(self, self._lock.close)
        self._pool = SandboxPool(READER, str(beside), size=children, wall_s=WHOLE_S, lock=self._lock, is_warm=True)

    async def __aenter__(self) -> Sandbox:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pool.close()

    async def read(self, body: bytearray, *, provider: str = "", most: int = 1, is_poll: bool = False) -> Reading:
        """Read a provider's answer with so many pictures, or a picture when none is named; `body` is emptied.

        Raises the ProviderError that the bytes stand for.
        """
        try:
            found, data = await self._pool.ask({"provider": provider, "most": most, "is_poll": is_poll}, body)
        except ChildLost as error:
            logger.warning("a reader died of an answer of %s", provider or "a download")
            raise Interrupted(PROVIDER_BAD_ANSWER if provider else BAD_IMAGE, http_status=200) from error
        if "error" in found:
            raise revive(found["error"])
        return _reading(found, data)

    async def shrink(self, data: bytes, *, side: int) -> ShrunkImage | None:
        """Make a reference image smaller, no side longer than `side` pixels; None where that cannot be."""
        try:
            found, small = await self._pool.ask({"shrink": side}, data)
        except ChildLost:
            logger.warning("a reader died of a reference image of %d bytes", len(data))
            return None
        return ShrunkImage(bytes(small), found["mime"]) if "mime" in found else None


def _reading(found: dict[str, Any], data: bytearray) -> Reading:
    pictures: list[Picture] = []
    if "mime" in found:
        sizes = [info["size"] for info in found.get("more", ())]
        ends = [len(data) - sum(sizes[place:]) for place in range(len(sizes) + 1)]
        starts = [0, *ends[:-1]]
        parts = [data] if not sizes else [data[start:end] for start, end in zip(starts, ends, strict=True)]
        pictures = [_picture(info, part) for info, part in zip([found, *found.get("more", ())], parts, strict=True)]
    return Reading(
        picture=pictures[0] if pictures else None,
        more=tuple(pictures[1:]),
        extras=found.get("extras", 0),
        left=found.get("left", 0),
        link=found.get("link"),
        links=tuple(found.get("links", ())),
        poll_url=found.get("poll_url"),
        is_done=found.get("is_done", False),
        cost_usd=found.get("cost_usd"),
    )


def _picture(info: dict[str, Any], data: bytearray) -> Picture:
    warnings = ("The picture has only one colour.",) if info["is_blank"] else ()
    described = {name: info[name] for name in ("mime", "width", "height", "sha256")}
    return Picture(data=data, warnings=warnings, **described)
