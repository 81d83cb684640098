"""What jobs are made with: the worker's bench, and the desk that the images of one job share."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from contract.artifacts import Sidecar
from contract.errors import Refused
from contract.images import NotAnImage, inspect, shrink
from contract.job import Job, Snapshot
from contract.references import References
from contract.settings import Settings
from contract.store import JobStore, Lease
from worker.gate import Gate, Gates
from worker.leases import Leases
from worker.logbook import Logbook, persist
from worker.plan import Plan
from worker.providers.http import Conversation, Wire
from worker.writer import Writer

SMALL_SIDE = 1024  # pixels of a reference that was too large for its provider


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What every job of a worker works with."""

    worker: str
    settings: Settings
    store: JobStore
    leases: Leases
    gates: Gates
    references: References
    writer: Writer
    wire: Wire


@dataclass(slots=True, kw_only=True)
class Desk:
    """What the images of one job share."""

    bench: Bench
    lease: Lease
    job: Job
    snapshots: tuple[Snapshot, ...]
    plan: Plan
    logbook: Logbook
    talks: dict[str, Conversation] = field(default_factory=dict)  # by provider, as the gates
    gates: dict[str, Gate] = field(default_factory=dict)
    there: set[int] = field(default_factory=set)  # the images that are stored and reported
    seen: dict[str, int] = field(default_factory=dict)  # pictures by their sha256: which image each was for
    references: tuple[str, ...] = field(default=(), repr=False)  # data URLs
    _are_small: bool = False
    _calls: int = 0
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    def missing(self) -> list[int]:
        """List the images that are still to be made."""
        return [index for index in range(self.job.request.count) if index not in self.there]

    async def report(self, sidecar: Sidecar) -> None:
        """Add a stored image to the job. Raises LeaseLost."""
        await persist(self.bench.store.add_image, self.lease, sidecar.image())
        self.there.add(sidecar.index)
        self.seen[sidecar.sha256] = sidecar.index

    async def load_references(self, *, small: bool = False) -> None:
        """Read the reference images. Raises Refused (`reference_unreadable`)."""
        if self._are_small or (self.references and not small):
            return

        def load(snapshot: Snapshot) -> str:
            data, mime = self.bench.references.load(snapshot), snapshot.mime
            if small:
                data = shrink(data, side=SMALL_SIDE)
                mime = inspect(data).mime
            return f"data:{mime};base64,{base64.b64encode(data).decode()}"

        try:
            self.references = await asyncio.to_thread(lambda: tuple(map(load, self.snapshots)))
        except (OSError, NotAnImage) as error:
            raise Refused("reference_unreadable") from error
        self._are_small = small

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Let the other images know of a call, and of its end."""
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1
            self._ended.set()
            self._ended = asyncio.Event()

    async def another_ends(self) -> bool:
        """Wait for the end of some call of this job; False at once when none is under way."""
        if self._calls == 0:
            return False
        await self._ended.wait()
        return True
