"""Smaller copies of images: made once in the child process of `producer/imaging/sandbox.py`, kept in the store."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress
from functools import partial

from contract.artifacts.artifact_store import ArtifactStore
from contract.artifacts.sidecar import Sidecar
from contract.errors.catalogue.job_failure import STORAGE_FULL
from contract.errors.catalogue.request import ARTIFACT_NOT_FOUND
from contract.errors.exceptions import Refused
from producer.imaging.sandbox import ImageSandbox
from producer.imaging.turns import Asker

SIDES = (128, 256, 512, 1024)
_TYPES = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg"}


class Thumbnails:
    """The thumbnails of one Darkroom."""

    def __init__(self, artifacts: ArtifactStore, pictures: ImageSandbox) -> None:
        self._artifacts = artifacts
        self._pictures = pictures
        self._making: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def kept(self, artifact: str, *, side: int) -> tuple[bytes, str] | None:
        """Find the thumbnail of an image if it was made before; answer it and its type."""
        with suppress(OSError):  # making it tells of that
            if data := await self._artifacts.thumbnail(artifact, side):
                return data, _type_of(data)
        return None

    async def find(self, sidecar: Sidecar, locator: str, *, side: int, asker: Asker) -> tuple[bytes, str]:
        """Find the thumbnail of an image, or make it; answer it and its type. Raises Refused."""
        name = f"{sidecar.id}-{side}"
        async with self._making[name]:
            try:
                data = await self._artifacts.thumbnail(sidecar.id, side)
                data = data or await self._make(sidecar, locator, side, asker)
            except FileNotFoundError as error:
                raise Refused(ARTIFACT_NOT_FOUND) from error
            except OSError as error:
                raise Refused(STORAGE_FULL) from error
            finally:
                self._making.pop(name, None)
        return data, _type_of(data)

    async def _make(self, sidecar: Sidecar, locator: str, side: int, asker: Asker) -> bytes:
        pixels = sidecar.width * sidecar.height
        read = partial(self._artifacts.read, locator)
        data = await self._pictures.thumbnail(read, side=side, pixels=pixels, asker=asker)
        await self._artifacts.put_thumbnail(sidecar.id, side, data)
        if await self._artifacts.stat(locator) is None:  # deleted meanwhile, perhaps before this copy was there
            await self._artifacts.delete(locator)
            raise FileNotFoundError(locator)
        return data


def _type_of(data: bytes) -> str:
    return next(mime for begin, mime in _TYPES.items() if data.startswith(begin))
