"""A job's reference images as data URLs, as a call takes them; smaller ones where they were too large."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pybase64

from contract.artifacts.artifact_store import ArtifactStore
from contract.errors.catalogue.request import REFERENCE_UNREADABLE
from contract.errors.exceptions import Refused
from contract.jobs.job import ReferenceSnapshot
from worker.sandbox.pool import Sandbox

HEAD_BYTES = 32  # of a data URL
SMALL_SIDE = 1024  # pixels of a reference that was too large for its provider


class ReferenceUrls:
    """The references of one job; it keeps the small ones once they are made."""

    def __init__(self, artifacts: ArtifactStore, sandbox: Sandbox, snapshots: Sequence[ReferenceSnapshot]) -> None:
        self._artifacts = artifacts
        self._sandbox = sandbox
        self._snapshots = snapshots
        self._small: tuple[str, ...] | None = None

    def weight(self) -> int:
        """Tell how many bytes they take in a call: as data URLs, in its body, and on their way out."""
        return 3 * sum(HEAD_BYTES + 4 * -(-snapshot.bytes // 3) for snapshot in self._snapshots)

    async def read(self, *, small: bool) -> tuple[str, ...]:
        """Read them, or smaller ones of them. Raises Refused (`reference_unreadable`)."""
        try:
            if small and self._small is None:
                self._small = await self._shrink()
            return await self._read() if self._small is None else self._small
        except OSError as error:
            raise Refused(REFERENCE_UNREADABLE) from error

    async def _read(self) -> tuple[str, ...]:
        """Read the snapshots."""
        return tuple([await self._url(await self._load(each), each.mime) for each in self._snapshots])

    async def _shrink(self) -> tuple[str, ...]:
        """Read the snapshots and make them smaller; where one cannot be they stay as they are."""
        urls = []
        for snapshot in self._snapshots:
            small = await self._sandbox.shrink(await self._load(snapshot), side=SMALL_SIDE)
            if small is None:
                return await self._read()
            urls.append(await self._url(small.data, small.mime))
        return tuple(urls)

    async def _load(self, snapshot: ReferenceSnapshot) -> bytes:
        return await self._artifacts.read_reference(snapshot.sha256)

    async def _url(self, data: bytes, mime: str) -> str:
        return await asyncio.to_thread(_data_url, data, mime)


def _data_url(data: bytes, mime: str) -> str:
    return f"data:{mime};base64,{pybase64.b64encode_as_string(data)}"
