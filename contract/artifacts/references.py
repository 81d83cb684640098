"""Reference images: from what a caller names to bytes that cannot change any more.

They are kept by their hash: workers never open the caller's path.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple

from contract.artifacts.artifact_store import ArtifactStore
from contract.artifacts.reference_files import FileTooLarge, ReferenceFiles
from contract.artifacts.reference_names import written
from contract.errors.catalogue.job_failure import STORAGE_FULL
from contract.errors.catalogue.request import (
    REFERENCE_NOT_AN_IMAGE,
    REFERENCE_OUTSIDE_ROOTS,
    REFERENCE_TOO_LARGE,
    REFERENCE_UNREADABLE,
)
from contract.errors.exceptions import Refused
from contract.jobs.job import ReferenceSnapshot

MAX_EACH = 32 * 2**20
MAX_TOGETHER = 64 * 2**20


Read = Callable[[], Awaitable[bytes]]


class DecodedImage(NamedTuple):
    """An image that was decoded to its last pixel; sizes in pixels, upright."""

    data: bytes
    mime: str
    width: int
    height: int


Decoded = AbstractAsyncContextManager[DecodedImage]


class NoReference(Exception):
    """The bytes are no image, or one that is too large to be decoded; `values` are for the sentence of an error."""

    def __init__(self, *, is_too_large: bool = False, **values: object) -> None:
        super().__init__()
        self.is_too_large = is_too_large
        self.values = values


class ArtifactReference(NamedTuple):
    """An image of the artifact store that is named as a reference."""

    locator: str


class References:
    """Snapshots files and artifacts into the artifact store."""

    def __init__(
        self, artifacts: ArtifactStore, files: ReferenceFiles, *, decoded: Callable[[Read, str], Decoded]
    ) -> None:
        """Keep references in `artifacts`; `decoded` reads an owner's image when its turn has come, and decodes it.

        It gives the image for as long as it is used. It raises what reading raises, NoReference, and
        Refused when it has too much to do.
        """
        self._artifacts = artifacts
        self._files = files
        self._decoded = decoded

    async def snapshot(
        self, sources: Sequence[str | ArtifactReference], *, owner: str = ""
    ) -> tuple[ReferenceSnapshot, ...]:
        """Copy files, named by their paths, and artifacts as they are now. Raises Refused with a `reference_…` code."""
        snapshots = []
        left = MAX_TOGETHER
        for source in sources:
            snapshot, read = await self._keep(source, owner, most=min(MAX_EACH, left))
            snapshots.append(snapshot)
            left -= read
        return tuple(snapshots)

    async def describe(self, image: DecodedImage) -> ReferenceSnapshot:
        """Say what is to be kept of an image that has been decoded and is no file of ours.

        Raises Refused (`reference_too_large`).
        """
        if len(image.data) > MAX_EACH:
            raise _too_large(MAX_EACH)
        sha256 = (await asyncio.to_thread(hashlib.sha256, image.data)).hexdigest()
        return _snapshot(image, self._artifacts.reference_locator(sha256), sha256)

    async def keep(self, data: bytes) -> None:
        """Keep an image. Raises Refused (`storage_full`)."""
        await self._store(data)

    async def touch(self, snapshots: Sequence[ReferenceSnapshot]) -> None:
        """Say that snapshots are needed once more. Raises Refused (`reference_unreadable`) when one is gone."""
        try:
            await self._artifacts.touch_references([snapshot.sha256 for snapshot in snapshots])
        except OSError as error:
            raise Refused(REFERENCE_UNREADABLE) from error

    async def _read(self, source: str | ArtifactReference, *, most: int) -> tuple[str, bytes]:
        if isinstance(source, ArtifactReference):
            return source.locator, await self._read_artifact(source.locator, most=most)
        try:
            path, data = await asyncio.to_thread(self._files.read, source, most=most)
        except FileTooLarge as error:
            raise _too_large(most) from error
        return written(path), data

    async def _read_artifact(self, locator: str, *, most: int) -> bytes:
        try:
            data = await self._artifacts.read(locator, most=most + 1)
        except FileNotFoundError as error:
            raise Refused(REFERENCE_OUTSIDE_ROOTS) from error
        except OSError as error:
            raise Refused(REFERENCE_UNREADABLE) from error
        if len(data) > most:
            raise _too_large(most)
        return data

    async def _keep(self, source: str | ArtifactReference, owner: str, *, most: int) -> tuple[ReferenceSnapshot, int]:
        """Keep what is made of a reference; answer it, and how many bytes were read for it."""
        name, size = "", 0

        async def read() -> bytes:
            nonlocal name, size
            name, data = await self._read(source, most=most)
            size = len(data)
            return data

        try:
            async with self._decoded(read, owner) as image:
                return _snapshot(image, name, await self._store(image.data)), size
        except NoReference as error:
            kind = REFERENCE_TOO_LARGE if error.is_too_large else REFERENCE_NOT_AN_IMAGE
            raise Refused(kind, **error.values) from error

    async def _store(self, data: bytes) -> str:
        try:
            return await self._artifacts.put_reference(data)
        except OSError as error:
            raise Refused(STORAGE_FULL) from error


def _snapshot(image: DecodedImage, source: str, sha256: str) -> ReferenceSnapshot:
    size = {"bytes": len(image.data), "width": image.width, "height": image.height}
    return ReferenceSnapshot(source=source, sha256=sha256, mime=image.mime, **size)


def check_together(snapshots: Sequence[ReferenceSnapshot]) -> None:
    """Refuse snapshots that are too many bytes together. Raises Refused (`reference_too_large`)."""
    if sum(snapshot.bytes for snapshot in snapshots) > MAX_TOGETHER:
        raise _too_large(MAX_TOGETHER)


def _too_large(most: int) -> Refused:
    """Name the limit of one reference, or that of all where only so much was left of it."""
    if most == MAX_EACH:
        return Refused(REFERENCE_TOO_LARGE, limit=f"{MAX_EACH // 2**20} MiB")
    return Refused(REFERENCE_TOO_LARGE, total_mib=MAX_TOGETHER // 2**20)
