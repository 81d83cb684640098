"""A job's reference images as data URLs, as a call takes them; smaller ones where they were too large."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import pybase64

from contract.artifacts.references import References
from contract.errors.exceptions import Refused
from contract.errors.request_catalogue import REFERENCE_UNREADABLE
from contract.jobs.job import ReferenceSnapshot
from contract.untrusted.imaging.inspect import NotAnImage, inspect, shrink

HEAD_BYTES = 32  # of a data URL
SMALL_SIDE = 1024  # pixels of a reference that was too large for its provider


class ReferenceUrls:
    """The references of one job; it keeps the small ones once they are made."""

    def __init__(self, references: References, snapshots: Sequence[ReferenceSnapshot]) -> None:
        self._references = references
        self._snapshots = snapshots
        self._small: tuple[str, ...] | None = None

    def weight(self) -> int:
        """Tell how many bytes they take in a call: as data URLs, in its body, and on their way out."""
        return 3 * sum(HEAD_BYTES + 4 * -(-snapshot.bytes // 3) for snapshot in self._snapshots)

    async def read(self, *, small: bool) -> tuple[str, ...]:
        """Read them, or smaller ones of them. Raises Refused (`reference_unreadable`)."""
        try:
            if small and self._small is None:
                self._small = await asyncio.to_thread(self._shrink)
            return await asyncio.to_thread(self._read) if self._small is None else self._small
        except OSError as error:
            raise Refused(REFERENCE_UNREADABLE) from error

    def _read(self) -> tuple[str, ...]:
        """Read the snapshots; blocking."""
        return tuple(_data_url(self._references.load(each), each.mime) for each in self._snapshots)

    def _shrink(self) -> tuple[str, ...]:
        """Read the snapshots and make them smaller; where one cannot be they stay as they are. Blocking."""
        with suppress(NotAnImage):
            small = [shrink(self._references.load(each), side=SMALL_SIDE) for each in self._snapshots]
            return tuple(_data_url(data, inspect(data).mime) for data in small)
        return self._read()


def _data_url(data: bytes, mime: str) -> str:
    return f"data:{mime};base64,{pybase64.b64encode_as_string(data)}"
