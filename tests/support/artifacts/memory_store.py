"""An artifact store in memory: the port without a path."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from contract.artifacts.artifact_store import StorageRoom, StoredImage
from contract.artifacts.sidecar import Sidecar
from contract.errors.catalogue.request import ARTIFACT_NOT_FOUND
from contract.errors.exceptions import Refused
from contract.jobs.ids import is_artifact_id
from contract.jobs.job import Job

SCHEME = "memory:"


class OpenBytes:
    """An OpenImage in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.stored = StoredImage(len(data), 0.0)
        self.is_closed = False

    async def read(self, *, first: int = 0, most: int | None = None) -> bytes:
        """Read a part."""
        return self._data[first : None if most is None else first + most]

    async def close(self) -> None:
        """Note that it was closed."""
        self.is_closed = True


class MemoryArtifacts:
    """An ArtifactStore whose locators are `memory:<file name>`."""

    def __init__(self) -> None:
        self.pairs: dict[str, tuple[Sidecar, bytes]] = {}  # by the artifact's id
        self.references: dict[str, tuple[bytes, float]] = {}  # by SHA-256, with their ages in seconds
        self.thumbnails: dict[tuple[str, int], bytes] = {}
        self._marker = ""

    def pass_time(self, seconds: float) -> None:
        """Let all references become older."""
        self.references = {sha256: (data, age_s + seconds) for sha256, (data, age_s) in self.references.items()}

    def locator(self, job: Job, name: str) -> str:
        """Name an image."""
        return f"{SCHEME}{name}"

    async def put(self, job: Job, sidecar: Sidecar, data: bytes | bytearray) -> Sidecar:
        """Store a pair unless one stands."""
        return self.pairs.setdefault(sidecar.id, (sidecar, bytes(data)))[0]

    async def complete(self, job: Job, artifact: str) -> Sidecar | None:
        """Find a whole pair."""
        pair = self.pairs.get(artifact)
        return pair[0] if pair and hashlib.sha256(pair[1]).hexdigest() == pair[0].sha256 else None

    async def salvage(self, job: Job, artifact: str) -> bytes | None:
        """Find nothing: no sidecar is ever damaged."""
        return None

    async def find(self, artifact: str) -> str | None:
        """Find the locator of a pair."""
        pair = self.pairs.get(artifact)
        return pair[0].path if pair else None

    async def sidecar(self, locator: str) -> Sidecar:
        """Read a sidecar."""
        pair = self.pairs.get(_id(locator))
        if pair is None:
            raise Refused(ARTIFACT_NOT_FOUND)
        return pair[0]

    async def stat(self, locator: str) -> StoredImage | None:
        """Look at an image."""
        pair = self.pairs.get(_id(locator))
        return StoredImage(len(pair[1]), 0.0) if pair else None

    async def open(self, locator: str) -> OpenBytes:
        """Open an image."""
        pair = self.pairs.get(_id(locator))
        if pair is None:
            raise FileNotFoundError(locator)
        return OpenBytes(pair[1])

    async def read(self, locator: str, *, most: int | None = None) -> bytes:
        """Read an image."""
        return await (await self.open(locator)).read(most=most)

    async def local_file(self, locator: str) -> str | None:
        """Tell that there are no files."""
        return None

    async def delete(self, locator: str) -> None:
        """Remove a pair and its thumbnails."""
        artifact = _id(locator)
        self.pairs.pop(artifact, None)
        for key in [key for key in self.thumbnails if key[0] == artifact]:
            del self.thumbnails[key]

    async def recent(self) -> list[Sidecar]:
        """List all sidecars."""
        return [sidecar for sidecar, _ in self.pairs.values()]

    async def remove_incomplete(self) -> None:
        """Find nothing: a pair is stored in one step."""

    async def thumbnail(self, artifact: str, side: int) -> bytes | None:
        """Find a thumbnail."""
        return self.thumbnails.get((artifact, side))

    async def put_thumbnail(self, artifact: str, side: int, data: bytes) -> None:
        """Keep a thumbnail."""
        self.thumbnails[artifact, side] = data

    async def put_reference(self, data: bytes) -> str:
        """Keep a reference image."""
        sha256 = hashlib.sha256(data).hexdigest()
        self.references[sha256] = (data, 0.0)
        return sha256

    def reference_locator(self, sha256: str) -> str:
        """Name a reference image."""
        return f"{SCHEME}{sha256}"

    async def touch_references(self, sha256s: Sequence[str]) -> None:
        """Make references young again."""
        for sha256 in sha256s:
            if sha256 not in self.references:
                raise FileNotFoundError(sha256)
            self.references[sha256] = (self.references[sha256][0], 0.0)

    async def read_reference(self, sha256: str) -> bytes:
        """Read a reference image."""
        if sha256 not in self.references:
            raise FileNotFoundError(sha256)
        return self.references[sha256][0]

    async def remove_references(self, *, age_s: float) -> None:
        """Remove old references."""
        self.references = {sha256: kept for sha256, kept in self.references.items() if kept[1] < age_s}

    async def marker(self, *, make: bool = False) -> str:
        """Tell the mark, or make one."""
        if make and not self._marker:
            self._marker = f"memory-{id(self):x}"
        return self._marker

    @property
    def place(self) -> str:
        """Name this store."""
        return "memory"

    async def prepare(self) -> None:
        """Be ready."""

    async def room(self, *, by_writing: bool = False) -> StorageRoom:
        """Tell that there is room."""
        return StorageRoom(2**40)


def _id(locator: str) -> str:
    """Read the artifact's id out of a locator, also one of another store."""
    artifact = locator.rpartition("/")[2].removeprefix(SCHEME).partition(".")[0]
    return artifact if is_artifact_id(artifact) else ""
