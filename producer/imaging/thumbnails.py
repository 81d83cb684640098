"""Smaller pictures: made once in the child process of `producer/imaging/sandbox.py`, kept on disk."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from pathlib import Path

from contract.artifacts.sidecar import Sidecar, write_whole
from contract.errors.exceptions import Refused
from contract.errors.job_catalogue import STORAGE_FULL
from contract.errors.request_catalogue import ARTIFACT_NOT_FOUND
from contract.jobs.job import Job
from producer.imaging.sandbox import ImageSandbox

SIDES = (128, 256, 512, 1024)
_ENDINGS = {b"\x89PNG": ("png", "image/png"), b"\xff\xd8\xff": ("jpg", "image/jpeg")}


class Thumbnails:
    """The thumbnails of one Darkroom, in a folder of their own."""

    def __init__(self, folder: Path, pictures: ImageSandbox) -> None:
        self._folder = folder
        self._pictures = pictures
        self._making: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def find(self, sidecar: Sidecar, image: Path, *, side: int) -> tuple[Path, str]:
        """Find a thumbnail, or make it; answer its path and type. Raises Refused."""
        name = f"{sidecar.id}-{side}"
        async with self._making[name]:
            try:
                return await asyncio.to_thread(self._find, name) or await self._make(name, image, side)
            finally:
                self._making.pop(name, None)

    async def remove(self, job: Job) -> None:
        """Remove what was made of a job's images."""
        for image in job.images:
            await asyncio.to_thread(self._remove, image.id)

    async def _make(self, name: str, image: Path, side: int) -> tuple[Path, str]:
        try:
            data = await self._pictures.thumbnail(await asyncio.to_thread(image.read_bytes), side=side)
            ending, mime = next(kind for begin, kind in _ENDINGS.items() if data.startswith(begin))
            path = self._folder / f"{name}.{ending}"
            await asyncio.to_thread(self._write, path, data)
        except FileNotFoundError as error:
            raise Refused(ARTIFACT_NOT_FOUND) from error
        except OSError as error:
            raise Refused(STORAGE_FULL) from error
        return path, mime

    def _find(self, name: str) -> tuple[Path, str] | None:
        for ending, mime in _ENDINGS.values():
            path = self._folder / f"{name}.{ending}"
            if path.exists():
                return path, mime
        return None

    def _write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, data)

    def _remove(self, artifact: str) -> None:
        for path in self._folder.glob(f"{artifact}-*"):
            path.unlink(missing_ok=True)
