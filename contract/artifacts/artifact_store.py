"""The port for artifacts: where images, their sidecars, smaller copies and reference images are kept.

A locator says where an image is. It stands in the job's JSON as `Image.path`; only the store reads it, and one that
another process was told is good here, too.
Whatever the storage cannot do raises OSError.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from contract.artifacts.sidecar import Sidecar
from contract.jobs.job import Job

LOW = 2**30  # bytes: less is told in MB


@dataclass(frozen=True, slots=True)
class StoredImage:
    """What the storage says of an image that is there."""

    bytes: int
    modified_at: float  # seconds since 1970


class OpenImage(Protocol):
    """An image that can be read to its end, also if it is deleted meanwhile."""

    @property
    def stored(self) -> StoredImage:
        """Tell what the storage says of it."""

    async def read(self, *, first: int = 0, most: int | None = None) -> bytes:
        """Read all of it, or `most` bytes from the `first` on."""

    async def close(self) -> None:
        """Let go of it."""


@dataclass(frozen=True, slots=True)
class StorageRoom:
    """What is free in a storage; where nothing can be stored `problem` says why, and `hint` what to do."""

    free: int
    problem: str = ""
    is_there: bool = True
    hint: str = ""

    @property
    def words(self) -> str:
        """Tell how much is free."""
        return f"{self.free / 2**30:.1f} GB free" if self.free >= LOW else f"{self.free / 2**20:.0f} MB free"


class ArtifactStore(Protocol):
    """Keeps image and sidecar as one: a pair is complete, or invisible."""

    def locator(self, job: Job, name: str) -> str:
        """Tell where an image of a job with this file name belongs."""

    async def put(self, job: Job, sidecar: Sidecar, data: bytes | bytearray) -> Sidecar:
        """Store a pair; answer the sidecar that stands: of two pairs with the same id, it is the first one's."""

    async def complete(self, job: Job, artifact: str) -> Sidecar | None:
        """Find a pair of a job that an earlier run has completed and that is whole still."""

    async def salvage(self, job: Job, artifact: str) -> bytes | None:
        """Read the image of a pair that was completed, but whose sidecar cannot be read any more."""

    async def find(self, artifact: str) -> str | None:
        """Find the locator of a complete pair by its id, also of one that nanobot itself made."""

    async def sidecar(self, locator: str) -> Sidecar:
        """Read the sidecar of one of our images. Raises Refused (`artifact_not_found`)."""

    async def stat(self, locator: str) -> StoredImage | None:
        """Look at an image; None when it is not there."""

    async def open(self, locator: str) -> OpenImage:
        """Open an image. Raises FileNotFoundError."""

    async def read(self, locator: str, *, most: int | None = None) -> bytes:
        """Read an image, or its first `most` bytes. Raises FileNotFoundError."""

    async def local_file(self, locator: str) -> str | None:
        """Tell the path of an image for programs that read files; None when it is no file of this machine."""

    async def delete(self, locator: str) -> None:
        """Remove a pair, its sidecar first, and its smaller copies; what is gone already is no error."""

    async def recent(self) -> list[Sidecar]:
        """Read the sidecars of all pairs that a job which is not over may have made."""

    async def remove_incomplete(self) -> None:
        """Remove what killed writers left, once no writer can complete it any more; nothing else is touched."""

    async def thumbnail(self, artifact: str, side: int) -> bytes | None:
        """Find a smaller copy of an image."""

    async def put_thumbnail(self, artifact: str, side: int, data: bytes) -> None:
        """Keep a smaller copy of an image."""

    async def put_reference(self, data: bytes) -> str:
        """Keep a reference image by its content; answer its SHA-256. One that is kept is as young as a new one."""

    def reference_locator(self, sha256: str) -> str:
        """Tell where a reference image is kept."""

    async def touch_references(self, sha256s: Sequence[str]) -> None:
        """Make kept reference images as young as new ones. Raises FileNotFoundError when one is gone."""

    async def read_reference(self, sha256: str) -> bytes:
        """Read a reference image. Raises FileNotFoundError."""

    async def remove_references(self, *, age_s: float) -> None:
        """Remove the reference images that were not used for so long."""

    async def marker(self, *, make: bool = False) -> str:
        """Tell which storage this is, by a mark in it: "" if it has none and none was made."""

    @property
    def place(self) -> str:
        """Name the storage for people, as a directory by its path."""

    async def prepare(self) -> None:
        """Make the storage if need be, and store in it as an image is stored."""

    async def room(self, *, by_writing: bool = False) -> StorageRoom:
        """Tell how much room there is, and whether it may be used; `by_writing` as much as an image has."""
