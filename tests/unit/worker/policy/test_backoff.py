"""How repeats are paced, with a clock that only counts."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from tenacity import AsyncRetrying

from contract.errors.catalogue.provider import (
    ANSWER_TOO_LARGE,
    CONTENT_REFUSED,
    IMAGE_TOO_LARGE,
    NO_IMAGE,
    PROVIDER_AUTH,
    PROVIDER_BAD_ANSWER,
    PROVIDER_DOWN,
    PROVIDER_ERROR,
    PROVIDER_INTERRUPTED,
    PROVIDER_RATE_LIMITED,
    PROVIDER_TIMEOUT,
    RESULT_EXPIRED,
    UNSAFE_URL,
    UNSUPPORTED_IMAGE,
)
from contract.errors.catalogue.table import KINDS
from contract.errors.exceptions import Unavailable
from worker.answers.errors import Interrupted, ProviderError, RateLimited, Rejected, TimedOut, Transient, Unusable
from worker.policy.backoff import PATIENCE, STOPPING_TRIES, fetching, is_settled, pacing, until_reachable
from worker.policy.retry_policy import LONGEST_WAIT_S, SLOT_WAIT_S, Again, Call, GiveUp, Later, Step


class Sleeps(list[float]):
    """Keeps how long was slept, without sleeping."""

    def through(self, retrying: AsyncRetrying) -> AsyncRetrying:
        async def sleep(seconds: float) -> None:
            self.append(seconds)

        return retrying.copy(sleep=sleep)


@pytest.fixture
def sleeps() -> Sleeps:
    return Sleeps()


def steps(*values: Step | None) -> Callable[[], Awaitable[Step | None]]:
    """Answer one step after the other."""
    left = list(values)

    async def step() -> Step | None:
        return left.pop(0)

    return step


@pytest.mark.parametrize(
    "last",
    [None, Call(1, 120), Later(20, "openrouter"), GiveUp("provider_down")],
    ids=["image", "call", "later", "end"],
)
async def test_a_call_is_repeated_as_long_as_the_ladder_says_again(last: Step | None, sleeps: Sleeps) -> None:
    found: object = await sleeps.through(pacing(1))(steps(*[Again(0, 120, 0)] * 3, last))
    assert (found, len(sleeps)) == (last, 3)


@pytest.mark.parametrize("least_s", [0.0, 2.0, SLOT_WAIT_S])
async def test_a_repeat_never_comes_before_the_ladder_allows_it(least_s: float, sleeps: Sleeps) -> None:
    await sleeps.through(pacing(0.5))(steps(*[Again(0, 120, least_s)] * 30, None))
    assert all(least_s <= slept <= SLOT_WAIT_S for slept in sleeps)


async def test_repeats_are_spread_more_and_more(sleeps: Sleeps) -> None:
    for _ in range(200):
        await sleeps.through(pacing(1))(steps(*[Again(0, 120, 0)] * 3, None))
    most = [max(sleeps[place::3]) for place in range(3)]
    assert 0.8 < most[0] <= 1 < most[1] <= 2 < most[2] <= 4
    assert min(sleeps) < 0.2


async def test_each_call_is_paced_anew(sleeps: Sleeps) -> None:
    pace = sleeps.through(pacing(1))
    for _ in range(20):
        await pace(steps(Again(0, 120, 0), None))
    assert max(sleeps) <= 1


def failing(error: Exception, times: int) -> tuple[Callable[[], Awaitable[str]], list[int]]:
    """Fail so often, and count."""
    calls: list[int] = []

    async def call() -> str:
        calls.append(1)
        if len(calls) <= times:
            raise error
        return "there"

    return call, calls


PASSING = [
    Transient(PROVIDER_DOWN),
    Transient(PROVIDER_AUTH),  # of a poll, whose call was taken
    RateLimited(PROVIDER_RATE_LIMITED),
    Interrupted(PROVIDER_INTERRUPTED),
    Interrupted(PROVIDER_BAD_ANSWER),
    TimedOut(PROVIDER_TIMEOUT),
]
FEW = {"result_expired": 3, "bad_image": 2}
FINAL = [
    Interrupted(NO_IMAGE),
    Interrupted(PROVIDER_ERROR),
    Interrupted(UNSUPPORTED_IMAGE),
    Unusable(UNSAFE_URL),
    Unusable(ANSWER_TOO_LARGE),
    Unusable(IMAGE_TOO_LARGE),
    Rejected(CONTENT_REFUSED),
    ValueError("x"),
]


@pytest.mark.parametrize("error", PASSING, ids=lambda error: error.code)
async def test_what_is_already_made_is_looked_for_again_and_again(error: ProviderError, sleeps: Sleeps) -> None:
    call, calls = failing(error, times=200)
    assert await sleeps.through(fetching(1, left_s=1e6))(call) == "there"
    assert len(calls) == 201
    assert 0.5 <= sleeps[0] <= 1
    assert all(PATIENCE / 2 <= slept <= PATIENCE for slept in sleeps[5:])


@pytest.mark.parametrize("error", PASSING, ids=lambda error: error.code)
async def test_it_is_given_up_when_there_is_no_time_for_another_look(error: ProviderError, sleeps: Sleeps) -> None:
    call, calls = failing(error, times=9)
    with pytest.raises(ProviderError) as caught:
        await sleeps.through(fetching(1, left_s=0.4))(call)
    assert caught.value is error
    assert (len(calls), is_settled(error)) == (1, False)


@pytest.mark.parametrize("code", FEW)
async def test_what_will_hardly_change_is_looked_at_a_few_times(code: str, sleeps: Sleeps) -> None:
    call, calls = failing(Interrupted(KINDS[code]), times=FEW[code] - 1)
    assert await sleeps.through(fetching(1, left_s=60))(call) == "there"
    call, calls = failing(Interrupted(KINDS[code]), times=9)
    with pytest.raises(Interrupted):
        await sleeps.through(fetching(1, left_s=60))(call)
    assert (len(calls), is_settled(Interrupted(KINDS[code]))) == (FEW[code], True)


async def test_looks_that_failed_otherwise_do_not_count_among_those_few(sleeps: Sleeps) -> None:
    errors: list[Exception] = [Transient(PROVIDER_DOWN)] * 7 + [Interrupted(RESULT_EXPIRED)] * 2

    async def call() -> str:
        if errors:
            raise errors.pop(0)
        return "there"

    assert await sleeps.through(fetching(1, left_s=1e6))(call) == "there"


@pytest.mark.parametrize("error", FINAL, ids=repr)
async def test_what_will_not_change_is_looked_at_once(error: Exception, sleeps: Sleeps) -> None:
    call, calls = failing(error, times=9)
    with pytest.raises(type(error)):
        await sleeps.through(fetching(1, left_s=60))(call)
    assert (len(calls), sleeps) == (1, [])
    assert not isinstance(error, ProviderError) or is_settled(error)


async def test_a_look_is_not_put_off_for_longer_than_a_minute(sleeps: Sleeps) -> None:
    call, _ = failing(RateLimited(PROVIDER_RATE_LIMITED, retry_after_s=86_400), times=2)
    await sleeps.through(fetching(1, left_s=600))(call)
    assert sleeps == [LONGEST_WAIT_S] * 2


async def test_a_look_waits_as_long_as_the_provider_asks(sleeps: Sleeps) -> None:
    call, _ = failing(RateLimited(PROVIDER_RATE_LIMITED, retry_after_s=7), times=2)
    await sleeps.through(fetching(0.01, left_s=60))(call)
    assert sleeps == [7, 7]


@pytest.mark.parametrize("left_s", [-1.0, 0.0, 0.4, 6.9])
async def test_a_look_for_which_there_is_no_time_is_not_waited_for(left_s: float, sleeps: Sleeps) -> None:
    call, calls = failing(RateLimited(PROVIDER_RATE_LIMITED, retry_after_s=7), times=1)
    with pytest.raises(RateLimited):
        await sleeps.through(fetching(1, left_s=left_s))(call)
    assert (len(calls), sleeps) == (1, [])


async def test_a_write_is_repeated_until_redis_is_back(sleeps: Sleeps) -> None:
    call, calls = failing(Unavailable(), times=40)
    assert await sleeps.through(until_reachable())(call) == "there"
    assert len(calls) == 41
    assert all(0.2 <= slept <= 0.6 for slept in sleeps)


async def test_a_worker_that_stops_does_not_wait_for_redis(sleeps: Sleeps) -> None:
    call, calls = failing(Unavailable(), times=40)
    with pytest.raises(Unavailable):
        await sleeps.through(until_reachable(is_stopping=lambda: True))(call)
    assert len(calls) == STOPPING_TRIES


async def test_a_write_that_is_refused_is_not_repeated(sleeps: Sleeps) -> None:
    call, calls = failing(ValueError("x"), times=1)
    with pytest.raises(ValueError, match="x"):
        await sleeps.through(until_reachable())(call)
    assert len(calls) == 1


async def test_a_repeat_can_be_cancelled_while_it_waits() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await pacing(1)(steps(Again(0, 120, 60), None))
