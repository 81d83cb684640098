"""What the images of one job know of each other: which are stored, calling or waiting, and which pictures are spare."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from contract.jobs.job import Image
from worker.execution.images_per_answer import ImagesPerAnswer
from worker.memory.budget import Share
from worker.policy.ladder import Route
from worker.sandbox.pool import Picture


@dataclass(frozen=True, slots=True)
class SparePicture:
    """A good picture that came with another one in the response to a call, for an image that is still missing."""

    picture: Picture
    number: int  # of the call
    share: Share  # of the worker's memory


class SiblingImages:
    """The images of one job in one run; it alone changes what they share."""

    def __init__(self, *, count: int, stored: Iterable[Image]) -> None:
        stored = tuple(stored)
        self.per_answer = ImagesPerAnswer()
        self.unused: Counter[int] = Counter()  # pictures that became no image, by the call
        self._count = count
        self._stored = {image.index for image in stored}  # and reported
        self._seen = {image.sha256: image.index for image in stored}  # by its hash, which image a picture was for
        self._spares: list[SparePicture] = []
        self._shares: list[Share] = []  # of all spares
        self._with_picture: set[int] = set()  # images whose picture is here, stored or not yet
        self._routes: dict[int, Route] = {}  # images that call, from before they ask the circuit breaker
        self._in_call: set[int] = set()  # those whose call is under way
        self._active = 0  # images that are being made and do not wait
        self._ended_calls = 0
        self._news = asyncio.Event()

    def missing(self) -> list[int]:
        """List the images that are not stored."""
        return [index for index in range(self._count) if index not in self._stored]

    def stored(self) -> frozenset[int]:
        """List the images that are stored and reported."""
        return frozenset(self._stored)

    def note_stored(self, image: Image) -> None:
        """Count an image as stored and reported."""
        self._stored.add(image.index)
        self._seen[image.sha256] = image.index

    def most_wanted(self) -> int:
        """Tell how many pictures a call may bring that the job has use for."""
        return max(1, len(self.missing()) - len(self._spares))

    def choose(self, index: int, pictures: Sequence[Picture]) -> list[Picture]:
        """List the pictures of an answer that are new to this job; the first of them is the image's from now on."""
        new = [each for each in pictures if self._seen.get(each.sha256, index) == index]
        if new:
            self._seen[new[0].sha256] = index
            self._with_picture.add(index)
        return new

    def seen_as(self, picture: Picture) -> int:
        """Tell which image a known picture was for."""
        return self._seen[picture.sha256]

    def offer(self, pictures: Iterable[Picture], number: int, share: Share) -> None:
        """Leave further pictures of an answer to the images that are still missing, with their part of its memory."""
        spares = [SparePicture(picture, number, share.split(len(picture.data))) for picture in pictures]
        self._spares += spares
        self._shares += [spare.share for spare in spares]
        self._tell()

    def take_spare(self, index: int) -> SparePicture | None:
        """Take a picture that another image's call brought, if there is one that the job has not yet."""
        while self._spares:
            spare = self._spares.pop(0)
            if self._seen.setdefault(spare.picture.sha256, index) == index:
                self._with_picture.add(index)
                return spare
            self.unused[spare.number] += 1
            spare.share.release()
        return None

    def has_spare(self) -> bool:
        """Tell whether there is a picture that no image has taken."""
        return bool(self._spares)

    def drop_spares(self) -> None:
        """Count the pictures that no image has taken as unused."""
        self.unused.update(spare.number for spare in self._spares)
        self._spares.clear()

    def release_memory(self) -> None:
        """Hold no memory any more, as the run ends."""
        for share in self._shares:
            share.release()

    @contextmanager
    def turn(self, index: int, route: Route) -> Iterator[None]:
        """Count an image as one that calls, from before it asks the circuit breaker."""
        self._routes[index] = route
        try:
            yield
        finally:
            del self._routes[index]
            self._tell()

    @contextmanager
    def call(self, index: int) -> Iterator[None]:
        """Count an image as one whose call is under way."""
        self._in_call.add(index)
        try:
            yield
        finally:
            self._in_call.discard(index)

    def calls_suffice(self) -> bool:
        """Tell whether the calls under way may bring all the pictures that are still wanted."""
        wanted = {*self.missing()} - self._with_picture
        due = self.per_answer.due(route for index, route in self._routes.items() if index in wanted)
        return due >= len(wanted)

    async def until_called(self, route: Route, most_s: float) -> None:
        """Wait until an image has its picture or its call has failed; after `most_s` do not rely on others any more."""
        try:
            async with asyncio.timeout(most_s):
                await self._news.wait()
        except TimeoutError:
            for other in {route, *self._routes.values()}:
                self.per_answer.doubt(other)

    async def until_spare(self) -> None:
        """Wait until there are more pictures to spare than images without a call, which come first."""
        while len(self._spares) <= len({*self.missing()} - self._in_call - self._with_picture):
            await self._news.wait()

    def note_call_ended(self) -> None:
        """Tell the waiting images that a call has left its circuit breaker."""
        self._ended_calls += 1
        self._tell()

    @contextmanager
    def active(self) -> Iterator[None]:
        """Count an image as being made."""
        self._active += 1
        try:
            yield
        finally:
            self._active -= 1
            self._tell()

    async def others_go_on(self, wait_s: float, *, at_breaker: bool) -> bool:
        """Wait here as long as other images are being made, as the job keeps its slot for them anyway.

        True when the time is over or, `at_breaker`, when a place may be free; False once all images wait.
        """
        self._active -= 1
        self._tell()
        before = self._ended_calls
        try:
            async with asyncio.timeout(wait_s):
                while self._active and not self._spares:
                    await self._news.wait()
                    if at_breaker and self._ended_calls > before:
                        return True
            return bool(self._spares)
        except TimeoutError:
            return True
        finally:
            self._active += 1

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
