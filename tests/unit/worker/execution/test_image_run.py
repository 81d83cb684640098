"""One image's run: what the circuit breaker hears of a failed call, by how long its provider was waited for."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from contract.artifacts.local_directory.local_directory import LocalDirectory
from contract.errors.catalogue.provider import BAD_MODEL, PROVIDER_AUTH, PROVIDER_INTERRUPTED, PROVIDER_TIMEOUT
from contract.jobs.job import Attempt, JobState
from contract.jobs.request import JobRequest
from contract.store.lease import Lease
from contract.store.worker_store import WorkerStore
from tests.support.factories.configs import some_settings
from tests.support.factories.ended_job import a_job
from tests.support.factories.ladders import rung
from worker.answers.errors import Interrupted, ProviderError, TimedOut, Unusable
from worker.execution.attempt_log import AttemptLog
from worker.execution.context import JobContext
from worker.execution.delivery import Delivery
from worker.execution.image_run import ImageRun
from worker.execution.images_per_answer import ImagesPerAnswerStore
from worker.execution.leases import Leases
from worker.execution.provider_call import CallResources
from worker.execution.reference_urls import ReferenceUrls
from worker.execution.sibling_images import SiblingImages
from worker.http.pending_result import CallProgress, GeneratedImage
from worker.http.provider_client import ProviderClient
from worker.memory.budget import Budget, Share
from worker.policy.circuit_breaker import Blocked, CallOutcome, CircuitBreaker
from worker.policy.ladder import Ladder
from worker.policy.retry_policy import GiveUp
from worker.providers.provider import ImageCall
from worker.sandbox.pool import Sandbox

NOWHERE = Path("/nonexistent")
ARTIFACTS = LocalDirectory(media=NOWHERE, save_dir="images", home=NOWHERE)
SETTINGS = some_settings()


class Turnstile(CircuitBreaker):
    """Lets every call in, and keeps what is said when it leaves."""

    def __init__(self) -> None:
        self.heard: set[tuple[CallOutcome, str]] = set()

    async def enter(self, lease: Lease, number: int, *, most_s: float) -> Blocked | None:
        return None

    async def leave(self, lease: Lease, number: int, outcome: CallOutcome, *, code: str = "", **told: object) -> bool:
        self.heard.add((outcome, code))
        return False


class Failing(ProviderClient):
    """Fails every call in the same way, and takes no time for it."""

    def __init__(self, error: ProviderError) -> None:
        self._error = error
        self.asked: list[ImageCall] = []

    async def make(
        self,
        ask: ImageCall,
        *,
        share: Share,
        begin_s: float,
        whole_s: float,
        request_id: str,
        fetch_s: float | None = None,
        progress: CallProgress | None = None,
    ) -> GeneratedImage:
        self.asked.append(ask)
        raise self._error


class Blank(WorkerStore):
    """A table that takes everything and keeps nothing."""

    def __init__(self) -> None:
        pass

    async def begin_attempt(self, lease: Lease, number: int, attempt: Attempt, *, max_calls: int) -> None:
        pass

    async def end_attempt(self, *args: object, **kwargs: object) -> None:
        pass


class Hanging(Failing):
    """Never answers its first call, and fails the others."""

    calls = 0

    async def make(self, *args: Any, **kwargs: Any) -> GeneratedImage:
        self.calls += 1
        if self.calls == 1:
            await asyncio.Event().wait()
        raise self._error


class Forgetful(ImagesPerAnswerStore):
    """Has no Redis."""

    def __init__(self) -> None:
        pass


def context_of(ladder: Ladder, *, left_s: float = 600, count: int = 1) -> JobContext:
    """Claim a job."""
    lease = Lease(job_id="7", fence=1, deadline_ms=int(1000 * left_s), fields={}, claimed_ms=0)
    request = JobRequest(prompt="a fox", aspect_ratio="1:1", image_size="4K", count=count)
    return JobContext(
        lease=lease,
        job=a_job(id="7", request=request, images=(), state=JobState.RUNNING),
        settings=SETTINGS,
        ladder=ladder,
        snapshots=(),
        attempts=AttemptLog(lease, Blank(), {}, max_calls=9),
        images=SiblingImages(count=count, stored=()),
    )


def resources_of(context: JobContext, client: ProviderClient) -> CallResources:
    """Make what calls need that go to one provider."""
    return CallResources(
        clients={"openrouter": client},
        breakers={context.ladder.rungs[0].route: Turnstile()},
        references=ReferenceUrls(ARTIFACTS, cast(Sandbox, None), ()),
        delivery=Delivery(context, store=Blank(), artifacts=ARTIFACTS),
        images_per_answer=Forgetful(),
        leases=Leases(Blank(), worker="w", lease_s=15),
        budget=Budget(2**20),
    )


async def test_an_adapter_sees_the_whole_request() -> None:
    context = context_of(Ladder(rungs=(rung(),), retry_s=0.001))
    client = Failing(Unusable(BAD_MODEL))
    await ImageRun(0, context, resources_of(context, client)).make()
    assert [ask.request for ask in client.asked] == [context.job.request]


async def heard(error: ProviderError, ladder: Ladder, left_s: float = 600) -> set[tuple[CallOutcome, str]]:
    """Climb down a ladder on which every call fails; tell what the circuit breaker hears of it."""
    context = context_of(ladder, left_s=left_s)
    resources = resources_of(context, Failing(error))
    assert await ImageRun(0, context, resources).make() == GiveUp(error.code)
    [breaker] = resources.breakers.values()
    assert isinstance(breaker, Turnstile)
    return breaker.heard


@pytest.mark.parametrize(
    ("timeout_s", "left_s", "outcome"),
    [
        (120, 600, CallOutcome.BAD),
        (60, 600, CallOutcome.BAD),
        (59, 600, CallOutcome.UNKNOWN),
        (1, 600, CallOutcome.UNKNOWN),
        (120, 61, CallOutcome.BAD),
        (120, 59, CallOutcome.UNKNOWN),
    ],
)
async def test_a_time_out_after_less_than_half_of_the_operators_patience_says_nothing(
    timeout_s: float, left_s: float, outcome: CallOutcome
) -> None:
    ladder = Ladder(rungs=(rung(timeout_s=timeout_s, patience_s=120),), retry_s=0.001)
    assert await heard(TimedOut(PROVIDER_TIMEOUT), ladder, left_s) == {(outcome, "provider_timeout")}


async def test_a_share_of_the_time_that_is_a_little_short_of_the_patience_says_enough() -> None:
    first = rung(timeout_s=300, patience_s=300)
    ladder = Ladder(rungs=(first, rung(timeout_s=300, patience_s=300, quality="low")), retry_s=0.001)
    assert await heard(TimedOut(PROVIDER_TIMEOUT), ladder, 599.9) == {(CallOutcome.BAD, "provider_timeout")}


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Interrupted(PROVIDER_INTERRUPTED), CallOutcome.BAD),
        (Unusable(PROVIDER_AUTH, http_status=401), CallOutcome.KEY),
    ],
    ids=["cut off", "key"],
)
async def test_what_a_provider_has_said_counts_however_soon_it_came(error: ProviderError, outcome: CallOutcome) -> None:
    ladder = Ladder(rungs=(rung(timeout_s=1, patience_s=120),), retry_s=0.001)
    assert await heard(error, ladder) == {(outcome, error.code)}


async def test_images_wait_for_anothers_call_no_longer_than_a_call_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.execution.image_run.ARRIVING_S", 0.0)
    first = rung(timeout_s=0.3, patience_s=0.3)
    client = Hanging(Unusable(BAD_MODEL, http_status=404))
    context = context_of(Ladder(rungs=(first,)), count=3)
    context.images.per_answer.known = {first.route: 3}
    resources = resources_of(context, client)
    runs = [asyncio.create_task(ImageRun(index, context, resources).make()) for index in range(3)]
    while client.calls < 1:
        await asyncio.sleep(0)
    assert [client.calls, context.images.calls_suffice()] == [1, True]
    assert await asyncio.gather(*runs[1:]) == [GiveUp("bad_model")] * 2
    assert [client.calls, runs[0].done()] == [3, False]
    runs[0].cancel()
    await asyncio.wait(runs)


@pytest.mark.parametrize("known", [{}, {rung().route: 1}, {("openrouter", "another"): 4}])
async def test_nobody_waits_for_a_model_that_brings_one_picture(known: dict[tuple[str, str], int]) -> None:
    images = SiblingImages(count=4, stored=())
    images.per_answer.known = dict(known)
    with images.turn(0, rung().route), images.turn(1, rung().route), images.turn(2, rung().route):
        assert not images.calls_suffice()
