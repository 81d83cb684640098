"""One image's way down the ladder: through the gate, a call, and to disk, until it is there or nothing is left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from contract.errors.catalogue import look_up
from contract.errors.exceptions import DarkroomError, ProviderError, TimedOut, Unusable
from contract.errors.provider_catalogue import IMAGE_REPEATED
from contract.errors.request_catalogue import REFERENCE_TOO_LARGE
from contract.jobs import wording
from contract.jobs.pricing import estimate
from contract.store.lease import CallRefused
from worker import failpoint
from worker.execution.attempt_log import persist
from worker.execution.context import JobContext, SpareImage
from worker.execution.delivery import Delivery
from worker.http.pending_result import CallProgress, GeneratedImage
from worker.memory.budget import Share
from worker.policy.backoff import pacing
from worker.policy.circuit_breaker import Blocked, CallOutcome, outcome_of
from worker.policy.ladder import Route, Rung
from worker.policy.retry_policy import (
    LEAST_CALL_S,
    SLOT_WAIT_S,
    Again,
    Call,
    GiveUp,
    Later,
    Step,
    most_useful,
    next_step,
)
from worker.providers.provider import ImageCall

ARRIVING_S = 60.0  # what an answer gets on top of its time, once it has begun to come
FINISH_S = 5.0  # what one gets that is not needed any more, but tells what it has cost


class _Served(Exception):
    """Another image's call has brought this image as well."""

    def __init__(self, spare: SpareImage, cost_usd: float | None) -> None:
        super().__init__()
        self.spare = spare
        self.cost_usd = cost_usd  # of the own call


@dataclass(frozen=True, slots=True)
class Stopped:
    """The next call is for another worker, as this one stops: it might not live to see the answer."""


class ImageRun:
    """One image's walk in one run of its job."""

    def __init__(self, index: int, desk: JobContext) -> None:
        self.index = index
        self._desk = desk
        self.delivery = Delivery(index, desk)
        # Whatever an earlier run had to wait for is over.
        self._has_waited = True
        self._retry_after_s: float | None = None
        self._falters = False  # the provider failed others, too, when it last failed here

    async def make(self) -> Later | GiveUp | Stopped | None:
        """Go on until the image is there (None), or something stops it."""
        pace = pacing(self._desk.plan.retry_s)
        with self._desk.walking():
            step: Step | Stopped | None = Call(0, 0)
            while isinstance(step, Call | Again):
                step = await pace(self._try)
                if isinstance(step, Later):
                    step = await self._wait(step)
        return step

    async def _wait(self, step: Later) -> Later | Call:
        """Wait while other images of the job are being made; answer what is left of the wait, or that it is over."""
        began = time.monotonic()
        wait_s = min(step.wait_s, SLOT_WAIT_S) if step.at_gate else step.wait_s
        if await self._desk.others_go_on(wait_s, at_gate=step.at_gate):
            is_over = not step.at_gate and not self._desk.surplus
            self._has_waited = self._has_waited or is_over
            return Call(0, 0)
        return replace(step, wait_s=max(0.0, step.wait_s - (time.monotonic() - began)))

    async def _try(self) -> Step | Stopped | None:
        """Make one call, if one is due; answer what comes next, None when the image is there."""
        desk, closed = self._desk, dict[Route, Blocked]()
        task = asyncio.current_task()
        if task is not None and task.cancelling():  # redis-py may swallow a cancellation that meets its own time-out
            raise asyncio.CancelledError
        with desk.bench.wire.budget.share() as share:
            while (spare := desk.spare(self.index)) is None:
                step = self._next(closed)
                if not isinstance(step, Call | Again):
                    return step
                if desk.bench.leases.is_closed():
                    return Stopped()
                rung = desk.plan.rungs[step.rung]
                if desk.is_due():
                    share.release()
                    await desk.until_called(rung.route, step.timeout_s + ARRIVING_S)
                    continue
                if share.held < desk.weight():
                    await self._until_room(share)
                    continue
                with desk.calls(self.index, rung.route):
                    references = await desk.read_references(small=REFERENCE_TOO_LARGE.code in self._codes())
                    left_s = desk.lease.left_s()  # an answer may have to wait for memory
                    shut = await persist(desk.breakers[rung.route].enter, desk.lease, self.index, most_s=left_s)
                    if shut is None:
                        return await self._call(step, rung, share, references)
                self._pass(rung, shut, closed)
        return await self.delivery.take(spare)

    async def _until_room(self, share: Share) -> None:
        """Wait until there is memory for what a call takes with it, as long as the job has time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, self._desk.lease.left_s())):
                await share.hold(self._desk.weight())

    def _pass(self, rung: Rung, shut: Blocked, closed: dict[Route, Blocked]) -> None:
        """Leave a rung out whose gate is closed."""
        closed[rung.route] = shut
        if shut.code:
            self.delivery.passed.append(wording.unavailable(rung.provider))
            self._desk.attempt_log.know(DarkroomError(look_up(shut.code), provider=rung.provider, model=rung.model))

    async def _call(self, step: Call | Again, rung: Rung, share: Share, references: tuple[str, ...]) -> Step | None:
        """Make a call that has a place at the gate, and give the place back whatever happens."""
        desk, verdict, code = self._desk, CallOutcome.UNKNOWN, ""
        number, started = None, time.monotonic()
        try:
            failpoint.reach("before_call_count")
            number = await desk.attempt_log.begin(self.index, step.rung, rung)
            failpoint.reach("after_call_count")
            await desk.bench.leases.confirm(desk.lease)
            started = time.monotonic()
            ask = self._order(rung, step, references)
            made = await self._ask(ask, rung, number, step, share)
            failpoint.reach("after_response")
            verdict = CallOutcome.GOOD
            lesson = desk.yields.learn(rung.route, made, ask.most)
            made = self._choose(made, rung, number, share)
            step_on = await self._keep(number, made, seconds=time.monotonic() - started)
            await desk.remember(rung.route, lesson)
            return step_on
        except _Served as served:
            assert number is not None
            await desk.attempt_log.give_up(number, cost_usd=served.cost_usd)
            return await self.delivery.take(served.spare)
        except CallRefused as refusal:
            return GiveUp(most_useful([*self._codes(), str(refusal)]))
        except ProviderError as error:
            is_hasty = isinstance(error, TimedOut) and step.timeout_s < rung.patience_s / 2
            verdict, code = CallOutcome.UNKNOWN if is_hasty else outcome_of(error), error.code
            assert number is not None
            desk.yields.doubt(rung.route)
            seconds = time.monotonic() - started
            self._falters = await desk.leave_gate(rung.route, self.index, verdict, code)
            return await self._fail(number, error, seconds=seconds)
        finally:
            await desk.leave_gate(rung.route, self.index, verdict, code)  # nothing happens when it has left
            desk.left()

    def _order(self, rung: Rung, step: Call | Again, references: tuple[str, ...]) -> ImageCall:
        desk, request = self._desk, self._desk.job.request
        return ImageCall(
            prompt=request.prompt,
            model=rung.model,
            aspect_ratio=request.aspect_ratio,
            image_size=rung.image_size,
            quality=rung.quality,
            is_chosen=step.rung > 0 or request.quality is not None,
            references=references,
            most=max(1, len(desk.missing()) - len(desk.surplus)),
            request=request,
        )

    async def _ask(self, ask: ImageCall, rung: Rung, number: int, step: Call | Again, share: Share) -> GeneratedImage:
        desk = self._desk
        heard = CallProgress(tell=partial(desk.attempt_log.tell_unfetched, number, among=desk.job.request.count))
        call = desk.clients[rung.provider].make(
            ask,
            share=share,
            begin_s=step.timeout_s,
            whole_s=min(step.timeout_s + ARRIVING_S, desk.lease.left_s()),
            fetch_s=max(0.0, desk.lease.left_s() - LEAST_CALL_S),
            request_id=f"{desk.job.id}.{self.index}.{number}",
            heard=heard,
        )
        return await self._unless_served(call, heard)

    async def _unless_served(self, call: Coroutine[Any, Any, GeneratedImage], heard: CallProgress) -> GeneratedImage:
        """Make a call to its end, or close it once another one's answer has brought this image as well.

        One whose answer has begun to come has been paid for: it is read, as far as that takes little time.
        """
        desk, making = self._desk, asyncio.create_task(call)
        desk.calling.add(self.index)
        try:
            while not making.done():
                served = asyncio.create_task(desk.until_spare())
                try:
                    await asyncio.wait({making, served}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    served.cancel()
                if heard.is_coming:
                    await asyncio.wait({making}, timeout=FINISH_S)
                if not making.done() and (spare := desk.spare(self.index)):
                    raise _Served(spare, heard.cost_usd)
            return await making
        finally:
            desk.calling.discard(self.index)
            making.cancel()
            await asyncio.gather(making, return_exceptions=True)

    def _choose(self, made: GeneratedImage, rung: Rung, number: int, share: Share) -> GeneratedImage:
        """Take the first picture that this job has not yet, and leave the others to its other images."""
        seen = self._desk.seen
        pictures = made.picture, *made.more
        new = [each for each in pictures if seen.get(each.sha256, self.index) == self.index]
        if not new:
            twin = Unusable(IMAGE_REPEATED, http_status=200, cost_usd=made.cost_usd)
            reason = f"it is the same as image {seen[made.picture.sha256] + 1}"
            raise twin.named(provider=rung.provider, reason=reason)
        seen[new[0].sha256] = self.index
        self._desk.keeping.add(self.index)
        self._desk.share(new[1:], number, share)
        self._desk.unused[number] = unused = made.unused + len(pictures) - len(new)
        return replace(made, picture=new[0], more=(), unused=unused)

    async def _fail(self, number: int, error: ProviderError, *, seconds: float) -> Step:
        """Record how a call failed, and tell what the ladder does about it."""
        attempt_log, rungs = self._desk.attempt_log, self._desk.plan.rungs
        attempt = attempt_log.failed(number, error, seconds=seconds)
        self._has_waited, self._retry_after_s = False, error.retry_after_s
        step = self._next()
        self._has_waited = isinstance(step, Again)  # before it is made
        said = wording.failed(attempt, among=self._desk.job.request.count)
        if isinstance(step, Again):
            await attempt_log.write(number, event="retry", text=f"{said}, trying again")
        elif isinstance(step, Call):
            here, below = (rungs[rung].rendition() for rung in (attempt.rung, step.rung))
            instead = wording.rendition(below, beside=here)
            await attempt_log.write(number, event="fallback", text=f"{said}, trying {instead}")
        else:
            await attempt_log.write(number)
        return step

    async def _keep(self, number: int, made: GeneratedImage, *, seconds: float) -> GiveUp | None:
        """Record what a call brought, then store and report it; what nobody wants any more is taken back."""
        desk, picture = self._desk, made.picture
        rung = desk.plan.rungs[desk.attempt_log.attempt(number).rung]
        cost_usd = made.cost_usd
        if cost_usd is None:
            cost_usd = estimate(rung.provider, rung.model, f"{picture.width}x{picture.height}", rung.quality)
        desk.attempt_log.delivered(number, seconds=seconds, cost_usd=cost_usd, unused=made.unused)
        await desk.attempt_log.write(number)  # before it is stored: whoever goes on after us knows what it cost
        return await self.delivery.store(number, picture, unused=made.unused)

    def _next(self, closed: Mapping[Route, Blocked] | None = None) -> Step:
        return next_step(
            self._desk.plan,
            self._desk.attempt_log.history(self.index),
            self._desk.lease.left_s(),
            retry_after_s=self._retry_after_s,
            has_waited=self._has_waited,
            closed=closed,
            falters=self._falters,
        )

    def _codes(self) -> list[str]:
        return [attempt.error for attempt in self._desk.attempt_log.history(self.index) if attempt.error]
