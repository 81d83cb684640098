"""The calls of one job: each is written before it is made and when it has ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Literal, ParamSpec, TypeVar

from contract.errors.catalogue.table import look_up
from contract.errors.exceptions import DarkroomError
from contract.jobs import wording
from contract.jobs.job import Attempt, Outcome, moment
from contract.store.job_writer import new_name
from contract.store.lease import CallRefused, Lease
from contract.store.worker_store import WorkerStore
from worker.answers.errors import ProviderError
from worker.policy.backoff import until_reachable
from worker.policy.ladder import Rung

P = ParamSpec("P")
T = TypeVar("T")


class AttemptLog:
    """The attempts of a job, in memory and in the table."""

    def __init__(self, lease: Lease, store: WorkerStore, attempts: Mapping[int, Attempt], *, max_calls: int) -> None:
        self._lease = lease
        self._store = store
        self._attempts = dict(attempts)
        self._max_calls = max_calls
        self._errors: dict[str, DarkroomError] = {}
        self._left_out: dict[int, list[str]] = {}  # by image, why rungs were left out without a call, in words

    async def begin(self, index: int, number_of_rung: int, rung: Rung) -> int:
        """Count and record a call before it is made; answer its number. Raises CallRefused, LeaseLost."""
        attempt = Attempt(
            index=index,
            rung=number_of_rung,
            provider=rung.provider,
            model=rung.model,
            image_size=rung.image_size,
            quality=rung.quality,
            started_at=self.now(),
        )
        number = max(self._attempts, default=-1) + 1
        self._attempts[number] = attempt
        try:
            await persist(self._store.begin_attempt, self._lease, number, attempt, max_calls=self._max_calls)
        except CallRefused:
            self._attempts[number] = attempt.model_copy(update={"outcome": Outcome.CANCELLED})
            raise
        return number

    def attempt(self, number: int) -> Attempt:
        """Find a call by its number."""
        return self._attempts[number]

    def delivered(self, number: int, *, seconds: float, cost_usd: float | None, unused: int) -> Attempt:
        """Note that a call brought an image; it is written once the image is stored."""
        brought = {"outcome": Outcome.DELIVERED, "seconds": round(seconds, 3), "http_status": 200}
        return self._change(number, **brought, cost_usd=cost_usd, unused=unused)

    async def tell_unfetched(self, number: int, error: ProviderError, *, among: int) -> None:
        """Tell that what a call has made cannot be fetched yet. Raises LeaseLost."""
        text = wording.unfetched(self._attempts[number], error.code, among=among)
        await self.write(number, event="retry", text=text)

    async def waste(self, unused: Mapping[int, int]) -> None:
        """Write how many pictures of each call were not used, where that is not known yet. Raises LeaseLost."""
        late = {number: many for number, many in unused.items() if many != self._attempts[number].unused}
        more = sum(many - self._attempts[number].unused for number, many in late.items())
        for place, (number, many) in enumerate(late.items(), 1):
            self._change(number, unused=many)
            if place < len(late):
                await self.write(number)
            else:
                await self.write(number, event="unused", text=wording.unused(more))

    def failed(self, number: int, error: ProviderError, *, seconds: float) -> Attempt:
        """Note how a call failed; it is written together with what comes next."""
        self._errors[error.code] = error
        return self._change(
            number,
            outcome=Outcome(error.outcome),
            seconds=round(seconds, 3),
            error=error.code,
            http_status=error.http_status,
            cost_usd=error.cost_usd,
        )

    async def give_up(self, number: int, *, cost_usd: float | None) -> None:
        """Write that we have given up a call: its image is there. Raises LeaseLost."""
        self._change(number, outcome=Outcome.CANCELLED, cost_usd=cost_usd)
        await self.write(number)

    async def write(
        self, number: int, *, event: Literal["", "retry", "fallback", "unused"] = "", text: str = ""
    ) -> None:
        """Write how a call ended. Raises LeaseLost."""
        write, ended = self._store.end_attempt, self._attempts[number]
        await persist(write, self._lease, number, ended, event=event, text=text, writing=new_name())

    async def settle(self, outcome: Outcome, *, delivered: frozenset[int] = frozenset()) -> None:
        """End the calls that are still open; those of images in `delivered` have brought them."""
        for number, attempt in list(self._attempts.items()):
            if attempt.outcome is Outcome.RUNNING:
                self._change(number, outcome=Outcome.DELIVERED if attempt.index in delivered else outcome)
                await self.write(number)

    def history(self, index: int) -> tuple[Attempt, ...]:
        """List the ended attempts of one image, oldest first."""
        ended = (attempt for attempt in self._attempts.values() if attempt.outcome is not Outcome.RUNNING)
        return tuple(attempt for attempt in ended if attempt.index == index)

    def delivered_for(self, index: int) -> Attempt | None:
        """Find the call that has brought an image: its own last one that delivered, else the last one of the others."""
        delivered = [attempt for attempt in self._attempts.values() if attempt.outcome is Outcome.DELIVERED]
        own = [attempt for attempt in delivered if attempt.index == index]
        return next(reversed(own or delivered), None)

    def leave_out(self, index: int, rung: Rung, code: str) -> None:
        """Remember that an image left a rung out, as an open circuit breaker lets no call of it through."""
        self._left_out.setdefault(index, []).append(wording.unavailable(rung.provider))
        self._errors.setdefault(code, DarkroomError(look_up(code), provider=rung.provider, model=rung.model))

    def reasons(self, index: int, brought: Attempt) -> tuple[str, ...]:
        """Say why the rungs above the one that brought an image did not deliver it."""
        return *self._left_out.get(index, ()), wording.reasons(self.history(brought.index))

    def error(self, code: str) -> DarkroomError:
        """Find an error of this run with its sentence; one of an earlier run gets its sentence again."""
        last = next((attempt for attempt in reversed(self._attempts.values()) if attempt.error == code), None)
        values = {"provider": last.provider, "model": last.model, "seconds": last.seconds} if last else {}
        return self._errors.get(code) or DarkroomError(look_up(code), **values)

    def now(self) -> datetime:
        """Tell Redis's time."""
        return moment(self._lease.now_ms())

    def _change(self, number: int, **changes: object) -> Attempt:
        self._attempts[number] = changed = self._attempts[number].model_copy(update=changes)
        return changed


async def persist(write: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """Write to the job table, also when Redis is away for some minutes; the fence keeps a repeat harmless."""
    return await until_reachable()(write, *args, **kwargs)
