"""What jobs are made with: the worker's bench, and the desk that the images of one job share."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import pybase64

from contract.artifacts.references import References
from contract.artifacts.sidecar import Sidecar
from contract.errors.exceptions import Refused, Unavailable
from contract.errors.provider_catalogue import PROVIDER_ERROR
from contract.errors.request_catalogue import REFERENCE_UNREADABLE
from contract.jobs.job import Job, ReferenceSnapshot
from contract.settings.settings import Settings
from contract.store.lease import Lease
from contract.store.worker_store import WorkerStore
from contract.untrusted.imaging.inspect import NotAnImage, inspect, shrink
from worker.artifacts.writer import Writer
from worker.execution.attempt_log import AttemptLog, persist
from worker.execution.images_per_answer import ImagesPerAnswer, Lesson, Memory, asked_for
from worker.execution.leases import Leases
from worker.http.provider_client import HttpResources, ProviderClient
from worker.memory.budget import Share
from worker.policy.circuit_breaker import CallOutcome, CircuitBreaker, CircuitBreakers
from worker.policy.ladder import Ladder, Route
from worker.sandbox.pool import Picture

LEAVE_S = 5.0
HEAD_BYTES = 32  # of a data URL
SMALL_SIDE = 1024  # pixels of a reference that was too large for its provider


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerContext:
    """What every job of a worker works with."""

    worker: str
    settings: Settings
    store: WorkerStore
    leases: Leases
    breakers: CircuitBreakers
    references: References
    writer: Writer
    wire: HttpResources
    memory: Memory


@dataclass(frozen=True, slots=True)
class SpareImage:
    """A good picture that came beside another one in the answer to a call, for an image that is still missing."""

    picture: Picture
    number: int  # of the call
    share: Share  # of the worker's memory


@dataclass(slots=True, kw_only=True)
class JobContext:
    """What the images of one job share."""

    bench: WorkerContext
    lease: Lease
    job: Job
    snapshots: tuple[ReferenceSnapshot, ...]
    plan: Ladder
    attempt_log: AttemptLog
    clients: dict[str, ProviderClient] = field(default_factory=dict)  # by provider
    breakers: dict[Route, CircuitBreaker] = field(default_factory=dict)
    there: set[int] = field(default_factory=set)  # the images that are stored and reported
    seen: dict[str, int] = field(default_factory=dict)  # pictures by their sha256: which image each was for
    surplus: list[SpareImage] = field(default_factory=list)
    unused: Counter[int] = field(default_factory=Counter)  # pictures that became no image, by the call
    calling: set[int] = field(default_factory=set)  # the images whose call is under way
    keeping: set[int] = field(default_factory=set)  # those that have their picture
    yields: ImagesPerAnswer = field(default_factory=ImagesPerAnswer)
    _turns: dict[int, Route] = field(default_factory=dict)  # the images that call, from before the gate on
    _parts: list[Share] = field(default_factory=list)
    _small: tuple[str, ...] | None = field(default=None, repr=False)  # references as data URLs
    _busy: int = 0  # images that are being made and do not wait
    _leavings: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def missing(self) -> list[int]:
        """List the images that are still to be made."""
        return [index for index in range(self.job.request.count) if index not in self.there]

    def share(self, pictures: Iterable[Picture], number: int, share: Share) -> None:
        """Leave further pictures of an answer to the images that are still missing, with their part of its memory."""
        spares = [SpareImage(picture, number, share.split(len(picture.data))) for picture in pictures]
        self.surplus += spares
        self._parts += [spare.share for spare in spares]
        self._tell()

    def let_go(self) -> None:
        """Hold no memory any more, as the job is left."""
        for part in self._parts:
            part.release()

    def spare(self, index: int) -> SpareImage | None:
        """Take a picture that another image's call brought, if there is one that the job has not yet."""
        while self.surplus:
            spare = self.surplus.pop(0)
            if self.seen.setdefault(spare.picture.sha256, index) == index:
                self.keeping.add(index)
                return spare
            self.unused[spare.number] += 1
            spare.share.release()
        return None

    def is_due(self) -> bool:
        """Tell whether the calls under way may bring all the pictures that are still wanted."""
        wanted = {*self.missing()} - self.keeping
        return self.yields.due(route for index, route in self._turns.items() if index in wanted) >= len(wanted)

    async def until_called(self, route: Route, most_s: float) -> None:
        """Wait until an image has its picture or its call has failed; after `most_s` do not rely on others any more."""
        try:
            async with asyncio.timeout(most_s):
                await self._news.wait()
        except TimeoutError:
            for other in {route, *self._turns.values()}:
                self.yields.doubt(other)

    @contextmanager
    def calls(self, index: int, route: Route) -> Iterator[None]:
        """Count an image as one that calls."""
        self._turns[index] = route
        try:
            yield
        finally:
            del self._turns[index]
            self._tell()

    async def recall(self) -> None:
        """Find out how many pictures a call may bring, where that matters; without Redis it is as configured."""
        if len(self.missing()) < 2:
            return
        providers = self.bench.settings.providers
        self.yields.known = {route: asked_for(providers[route[0]].extra_body) for route in self.breakers}
        with suppress(Unavailable):
            self.yields.known |= await self.bench.memory.look_up(self.breakers)

    async def remember(self, route: Route, lesson: Lesson | None) -> None:
        """Keep for other jobs how many pictures a call has brought, if that is news."""
        if lesson:
            with suppress(Unavailable):
                await self.bench.memory.note(self.breakers[route], lesson)

    async def clear(self) -> None:
        """Write what was not used, once nobody wants it any more. Raises LeaseLost."""
        self.unused.update(spare.number for spare in self.surplus)
        self.surplus.clear()
        await self.attempt_log.waste(self.unused)

    async def until_spare(self) -> None:
        """Wait until there are more pictures to spare than images without a call, which come first."""
        while len(self.surplus) <= len({*self.missing()} - self.calling - self.keeping):
            await self._news.wait()

    async def report(self, sidecar: Sidecar, *, text: str = "") -> None:
        """Add a stored image to the job; `text` tells more of it. Raises LeaseLost."""
        await persist(self.bench.store.add_image, self.lease, sidecar.image(), text=text)
        self.there.add(sidecar.index)
        self.seen[sidecar.sha256] = sidecar.index

    def weight(self) -> int:
        """Tell how many bytes a call holds: its references as data URLs, in its body, and on their way out."""
        return 3 * sum(HEAD_BYTES + 4 * -(-snapshot.bytes // 3) for snapshot in self.snapshots)

    async def read_references(self, *, small: bool) -> tuple[str, ...]:
        """Read the reference images as data URLs, or smaller ones of them. Raises Refused (`reference_unreadable`)."""
        try:
            if small and self._small is None:
                self._small = await asyncio.to_thread(self._shrink_references)
            return await asyncio.to_thread(self._read_references) if self._small is None else self._small
        except OSError as error:
            raise Refused(REFERENCE_UNREADABLE) from error

    def _read_references(self) -> tuple[str, ...]:
        """Read the snapshots; blocking."""
        return tuple(_data_url(self.bench.references.load(each), each.mime) for each in self.snapshots)

    def _shrink_references(self) -> tuple[str, ...]:
        """Read the snapshots and make them smaller; where one cannot be they stay as they are. Blocking."""
        with suppress(NotAnImage):
            small = [shrink(self.bench.references.load(each), side=SMALL_SIDE) for each in self.snapshots]
            return tuple(_data_url(data, inspect(data).mime) for data in small)
        return self._read_references()

    @contextmanager
    def walking(self) -> Iterator[None]:
        """Count an image as being made."""
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self._tell()

    async def leave_gate(self, route: Route, index: int, verdict: CallOutcome, code: str) -> bool:
        """Give an image's place at the gate back; answer whether the provider fails others, too."""
        history = self.attempt_log.history(index)
        has_passed = verdict is CallOutcome.GOOD and any(attempt.error == PROVIDER_ERROR.code for attempt in history)
        since_ms = history[0].started_at.timestamp() * 1000 if history else self.lease.now_ms()
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(LEAVE_S):  # a place that was not left is dropped with the job's lease
                gate = self.breakers[route]
                return await gate.leave(self.lease, index, verdict, code=code, since_ms=since_ms, has_passed=has_passed)
        return False

    def left(self) -> None:
        """Tell the waiting images that a call has left its gate."""
        self._leavings += 1
        self._tell()

    async def others_go_on(self, wait_s: float, *, at_gate: bool) -> bool:
        """Wait here as long as other images are being made, as the job keeps its slot for them anyway.

        True when the time is over or, `at_gate`, when a place may be free; False once all images wait.
        """
        self._busy -= 1
        self._tell()
        before = self._leavings
        try:
            async with asyncio.timeout(wait_s):
                while self._busy and not self.surplus:
                    await self._news.wait()
                    if at_gate and self._leavings > before:
                        return True
            return bool(self.surplus)
        except TimeoutError:
            return True
        finally:
            self._busy += 1

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


def _data_url(data: bytes, mime: str) -> str:
    return f"data:{mime};base64,{pybase64.b64encode_as_string(data)}"
