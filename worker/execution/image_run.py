"""One image's way down the ladder: calls and waits until it is stored, or nothing is left to try."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from contract.errors.catalogue.request import REFERENCE_TOO_LARGE
from contract.jobs import wording
from contract.store.lease import CallRefused
from worker import failpoint
from worker.answers.errors import ProviderError
from worker.execution.breaker_place import BreakerPlace
from worker.execution.context import JobContext
from worker.execution.provider_call import ARRIVING_S, CallResources, ProviderCall
from worker.memory.budget import Share
from worker.policy.backoff import pacing
from worker.policy.circuit_breaker import Blocked
from worker.policy.ladder import Route, Rung
from worker.policy.retry_policy import SLOT_WAIT_S, Again, Call, GiveUp, Later, Step, most_useful, next_step


@dataclass(frozen=True, slots=True)
class Stopped:
    """The next call is for another worker, as this one stops: it might not live to see the answer."""


class ImageRun:
    """One image in one run of its job."""

    def __init__(self, index: int, context: JobContext, resources: CallResources) -> None:
        self.index = index
        self._context = context
        self._images = context.images
        self._resources = resources
        # Whatever an earlier run had to wait for is over.
        self._has_waited = True
        self._retry_after_s: float | None = None
        self._falters = False  # the provider failed others, too, when it last failed here

    async def make(self) -> Later | GiveUp | Stopped | None:
        """Go on until the image is there (None), or something stops it."""
        pace = pacing(self._context.ladder.retry_s)
        with self._images.active():
            step: Step | Stopped | None = Call(0, 0)
            while isinstance(step, Call | Again):
                step = await pace(self._try)
                if isinstance(step, Later):
                    step = await self._wait(step)
        return step

    async def _wait(self, step: Later) -> Later | Call:
        """Wait while other images of the job are being made; answer what is left of the wait, or that it is over."""
        began = time.monotonic()
        wait_s = min(step.wait_s, SLOT_WAIT_S) if step.at_breaker else step.wait_s
        if await self._images.others_go_on(wait_s, at_breaker=step.at_breaker):
            is_over = not step.at_breaker and not self._images.has_spare()
            self._has_waited = self._has_waited or is_over
            return Call(0, 0)
        return replace(step, wait_s=max(0.0, step.wait_s - (time.monotonic() - began)))

    async def _try(self) -> Step | Stopped | None:
        """Make one call, if one is due; answer what comes next, None when the image is there."""
        _raise_if_cancelled()
        blocked: dict[Route, Blocked] = {}
        with self._resources.budget.share() as share:
            while (spare := self._images.take_spare(self.index)) is None:
                step = self._next(blocked)
                if not isinstance(step, Call | Again):
                    return step
                if self._resources.leases.is_closed():
                    return Stopped()
                if await self._waited_for_siblings(step, share) or await self._waited_for_memory(share):
                    continue
                reason = await self._call(step, share)
                if not isinstance(reason, Blocked):
                    return reason
                self._leave_out(step, reason, blocked)
        return await self._resources.delivery.take(self.index, spare)

    async def _waited_for_siblings(self, step: Call | Again, share: Share) -> bool:
        """Wait for calls of other images that may bring this one, too; False if there are not enough of them."""
        if not self._images.calls_suffice():
            return False
        share.release()
        await self._images.until_called(self._rung(step).route, step.timeout_s + ARRIVING_S)
        return True

    async def _waited_for_memory(self, share: Share) -> bool:
        """Wait for the memory that a call takes with it, as long as the job has time; False if it is held already."""
        weight = self._resources.references.weight()
        if share.held >= weight:
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, self._context.lease.left_s())):
                await share.hold(weight)
        return True

    async def _call(self, step: Call | Again, share: Share) -> Step | Blocked | None:
        """Make a call if the circuit breaker lets it through, and give its place back whatever happens."""
        context, route = self._context, self._rung(step).route
        with self._images.turn(self.index, route):
            references = await self._resources.references.read(small=REFERENCE_TOO_LARGE.code in self._codes())
            place = BreakerPlace(self._resources.breakers[route], context.lease, self.index, context.attempts)
            blocked = await place.take()
            if blocked is not None:
                return blocked
            try:
                return await self._counted_call(step, place, share, references)
            except CallRefused as refusal:
                return GiveUp(most_useful([*self._codes(), str(refusal)]))
            finally:
                await place.give_back()  # nothing happens if that has been done
                self._images.note_call_ended()

    async def _counted_call(
        self, step: Call | Again, place: BreakerPlace, share: Share, references: tuple[str, ...]
    ) -> Step | None:
        """Count a call, make it, and decide what follows if it fails. Raises CallRefused, LeaseLost."""
        context = self._context
        failpoint.reach("before_call_count")
        number = await context.attempts.begin(self.index, step.rung, self._rung(step))
        failpoint.reach("after_call_count")
        await self._resources.leases.confirm(context.lease)
        call = ProviderCall(
            number, step, index=self.index, place=place, share=share, context=context, resources=self._resources
        )
        try:
            return await call.run(references)
        except ProviderError as error:
            seconds = call.seconds()
            self._falters = await place.give_back()
            return await self._after_failure(number, error, seconds=seconds)

    async def _after_failure(self, number: int, error: ProviderError, *, seconds: float) -> Step:
        """Record how a call failed, and tell what the ladder does about it."""
        attempts, rungs = self._context.attempts, self._context.ladder.rungs
        attempt = attempts.failed(number, error, seconds=seconds)
        self._has_waited, self._retry_after_s = False, error.retry_after_s
        step = self._next()
        self._has_waited = isinstance(step, Again)  # before it is made
        said = wording.failed(attempt, among=self._context.job.request.count)
        if isinstance(step, Again):
            await attempts.write(number, event="retry", text=f"{said}, trying again")
        elif isinstance(step, Call):
            here, below = (rungs[rung].rendition() for rung in (attempt.rung, step.rung))
            instead = wording.rendition(below, beside=here)
            await attempts.write(number, event="fallback", text=f"{said}, trying {instead}")
        else:
            await attempts.write(number)
        return step

    def _leave_out(self, step: Call | Again, reason: Blocked, blocked: dict[Route, Blocked]) -> None:
        """Leave a rung out that no call may be made on now."""
        rung = self._rung(step)
        blocked[rung.route] = reason
        if reason.code:
            self._context.attempts.leave_out(self.index, rung, reason.code)

    def _next(self, blocked: Mapping[Route, Blocked] | None = None) -> Step:
        return next_step(
            self._context.ladder,
            self._context.attempts.history(self.index),
            self._context.lease.left_s(),
            retry_after_s=self._retry_after_s,
            has_waited=self._has_waited,
            blocked=blocked,
            falters=self._falters,
        )

    def _rung(self, step: Call | Again) -> Rung:
        return self._context.ladder.rungs[step.rung]

    def _codes(self) -> list[str]:
        return [attempt.error for attempt in self._context.attempts.history(self.index) if attempt.error]


def _raise_if_cancelled() -> None:
    """Raise a cancellation that redis-py swallowed, as it may when it meets its own time-out."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
