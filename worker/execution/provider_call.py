"""One counted call to a provider for one image: sent, its picture chosen, and stored."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from contract.errors.catalogue.provider import IMAGE_REPEATED
from contract.errors.exceptions import Unavailable
from contract.jobs.pricing import estimate
from worker import failpoint
from worker.answers.errors import ProviderError, TimedOut, Unusable
from worker.execution.breaker_place import BreakerPlace
from worker.execution.context import JobContext
from worker.execution.delivery import Delivery
from worker.execution.images_per_answer import ImagesPerAnswerStore, Lesson
from worker.execution.leases import Leases
from worker.execution.reference_urls import ReferenceUrls
from worker.execution.sibling_images import SparePicture
from worker.http.pending_result import CallProgress, GeneratedImage
from worker.http.provider_client import ProviderClient
from worker.memory.budget import Budget, Share
from worker.policy.circuit_breaker import CircuitBreaker
from worker.policy.ladder import Route, Rung
from worker.policy.retry_policy import LEAST_CALL_S, Again, Call, GiveUp
from worker.providers.provider import ImageCall
from worker.sandbox.pool import Picture

ARRIVING_S = 60.0  # what an answer gets on top of its time, once it has begun to come
FINISH_S = 5.0  # what one gets that is not needed any more, but tells what it has cost


@dataclass(frozen=True, slots=True, kw_only=True)
class CallResources:
    """What the calls of one job are made with."""

    clients: Mapping[str, ProviderClient]  # by provider
    breakers: Mapping[Route, CircuitBreaker]
    references: ReferenceUrls
    delivery: Delivery
    images_per_answer: ImagesPerAnswerStore
    leases: Leases
    budget: Budget


class _Served(Exception):
    """Another image's call has brought this image as well."""

    def __init__(self, spare: SparePicture, cost_usd: float | None) -> None:
        super().__init__()
        self.spare = spare
        self.cost_usd = cost_usd  # of the own call


class ProviderCall:
    """A call that is counted under `number` and has its place at the circuit breaker."""

    def __init__(
        self,
        number: int,
        step: Call | Again,
        *,
        index: int,
        place: BreakerPlace,
        share: Share,
        context: JobContext,
        resources: CallResources,
    ) -> None:
        self._number = number
        self._index = index
        self._rung: Rung = context.ladder.rungs[step.rung]
        self._is_fallback = step.rung > 0
        self._timeout_s = step.timeout_s
        self._place = place
        self._share = share
        self._context = context
        self._resources = resources
        self._started = time.monotonic()

    def seconds(self) -> float:
        """Tell how long the call has taken."""
        return time.monotonic() - self._started

    async def run(self, references: tuple[str, ...]) -> GiveUp | None:
        """Make the call, and store the picture that it brings. Raises ProviderError, LeaseLost."""
        self._started = time.monotonic()
        request = self._request(references)
        try:
            made = await self._send(request)
            failpoint.reach("after_response")
            self._place.succeeded()
            lesson = self._context.images.per_answer.learn(self._rung.route, made, request.most)
            picture, unused = self._choose(made)
            cost_usd = made.cost_usd
            del made  # other images may store its further pictures meanwhile, and give their memory back
        except _Served as served:
            await self._context.attempts.give_up(self._number, cost_usd=served.cost_usd)
            return await self._resources.delivery.take(self._index, served.spare)
        except ProviderError as error:
            is_hasty = isinstance(error, TimedOut) and self._timeout_s < self._rung.patience_s / 2
            self._place.failed(error, is_hasty=is_hasty)
            self._context.images.per_answer.doubt(self._rung.route)
            raise
        await self._record(picture, cost_usd, unused)
        stop = await self._resources.delivery.store(self._index, self._number, picture, unused=unused)
        await self._remember(lesson)
        return stop

    def _request(self, references: tuple[str, ...]) -> ImageCall:
        request, rung = self._context.job.request, self._rung
        return ImageCall(
            prompt=request.prompt,
            model=rung.model,
            aspect_ratio=request.aspect_ratio,
            image_size=rung.image_size,
            quality=rung.quality,
            is_chosen=self._is_fallback or request.quality is not None,
            references=references,
            most=self._context.images.most_wanted(),
            request=request,
        )

    async def _send(self, request: ImageCall) -> GeneratedImage:
        context, lease = self._context, self._context.lease
        among = context.job.request.count
        progress = CallProgress(tell=partial(context.attempts.tell_unfetched, self._number, among=among))
        call = self._resources.clients[self._rung.provider].make(
            request,
            share=self._share,
            begin_s=self._timeout_s,
            whole_s=min(self._timeout_s + ARRIVING_S, lease.left_s()),
            fetch_s=max(0.0, lease.left_s() - LEAST_CALL_S),
            request_id=f"{context.job.id}.{self._index}.{self._number}",
            progress=progress,
        )
        return await self._unless_served(call, progress)

    async def _unless_served(self, call: Coroutine[Any, Any, GeneratedImage], progress: CallProgress) -> GeneratedImage:
        """Make a call to its end, or close it once another one's answer has brought this image as well.

        One whose answer has begun to come has been paid for: it is read, as far as that takes little time.
        """
        images, making = self._context.images, asyncio.create_task(call)
        try:
            with images.call(self._index):
                while not making.done():
                    served = asyncio.create_task(images.until_spare())
                    try:
                        await asyncio.wait({making, served}, return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        served.cancel()
                    if progress.is_coming:
                        await asyncio.wait({making}, timeout=FINISH_S)
                    if not making.done() and (spare := images.take_spare(self._index)):
                        raise _Served(spare, progress.cost_usd)
                return await making
        finally:
            making.cancel()
            await asyncio.gather(making, return_exceptions=True)

    def _choose(self, made: GeneratedImage) -> tuple[Picture, int]:
        """Take the first picture that this job has not yet, and leave the others to its other images.

        Answers also how many pictures are of no use.
        """
        images, pictures = self._context.images, (made.picture, *made.more)
        new = images.choose(self._index, pictures)
        if not new:
            duplicate = Unusable(IMAGE_REPEATED, http_status=200, cost_usd=made.cost_usd)
            reason = f"it is the same as image {images.seen_as(made.picture) + 1}"
            raise duplicate.named(provider=self._rung.provider, reason=reason)
        images.offer(new[1:], self._number, self._share)
        images.unused[self._number] = unused = made.unused + len(pictures) - len(new)
        return new[0], unused

    async def _record(self, picture: Picture, cost_usd: float | None, unused: int) -> None:
        """Write what the call brought before it is stored: a run that takes over then knows what it cost."""
        attempts, rung = self._context.attempts, self._rung
        if cost_usd is None:
            cost_usd = estimate(rung.provider, rung.model, f"{picture.width}x{picture.height}", rung.quality)
        attempts.delivered(self._number, seconds=self.seconds(), cost_usd=cost_usd, unused=unused)
        await attempts.write(self._number)

    async def _remember(self, lesson: Lesson | None) -> None:
        """Keep for other jobs how many pictures a call has brought, if that is news."""
        if lesson:
            with suppress(Unavailable):
                await self._resources.images_per_answer.note(self._resources.breakers[self._rung.route], lesson)
