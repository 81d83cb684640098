"""The ladder's rules, for everything that can come together, and for whole walks down it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.errors.catalogue.table import KINDS
from contract.jobs.job import Attempt, Outcome
from tests.support.factories.ladders import BLOCKED, FAILURES, PLACES, PLAN, TWO, BlockedRoutes, Failure, attempts, name
from worker.policy.ladder import Ladder
from worker.policy.retry_policy import (
    LEAST_CALL_S,
    LONGEST_WAIT_S,
    SLOT_WAIT_S,
    TRIES,
    Again,
    Call,
    GiveUp,
    Later,
    Step,
    next_step,
)


@pytest.mark.parametrize("failure", FAILURES, ids=name)
@pytest.mark.parametrize(("place", "plan"), [*PLACES.values(), (0, TWO), (1, TWO), (2, TWO)])
def test_every_step_keeps_the_rules(place: int, plan: Ladder, failure: Failure) -> None:
    plan = replace(plan, has_references=failure[1] == "reference_too_large")
    histories = [attempts(*[failure[0]] * times, rung=place, error=failure[1]) for times in (1, 2, 5)]
    waits = [(None, True), (None, False), (0.5, False), (20, False), (1e99, False)]
    every_breaker = (None, True), (20, False)  # a breaker does not know why a call comes
    for history, (wait_s, has_waited), left_s in product(histories, waits, (0.5, 2, 30, 600)):
        open_step = next_step(plan, history, left_s, retry_after_s=wait_s, has_waited=has_waited)
        for blocked in BLOCKED.values() if (wait_s, has_waited) in every_breaker else [BLOCKED["open"]]:
            step = next_step(plan, history, left_s, retry_after_s=wait_s, has_waited=has_waited, blocked=blocked)
            check_time(step, plan, left_s)
            check_place(step, plan, history)
            check_breakers(step, open_step, plan, blocked)


def check_time(step: Step, plan: Ladder, left_s: float) -> None:
    match step:
        case Call(place, timeout_s):
            assert LEAST_CALL_S <= timeout_s <= min(left_s, plan.rungs[place].timeout_s)
        case Again(place, timeout_s, least_s):
            assert LEAST_CALL_S <= timeout_s <= min(left_s, plan.rungs[place].timeout_s)
            assert 0 <= least_s <= min(SLOT_WAIT_S, left_s - LEAST_CALL_S)
        case Later(wait_s, at_breaker=at_breaker):
            assert (0 if at_breaker else SLOT_WAIT_S) < wait_s <= min(LONGEST_WAIT_S, left_s - LEAST_CALL_S)
    assert left_s >= LEAST_CALL_S or isinstance(step, GiveUp)


def check_place(step: Step, plan: Ladder, history: Sequence[Attempt]) -> None:
    """Never up; nothing that may have been billed is repeated blindly; nothing refused goes anywhere."""
    last = history[-1]
    tries = 2 if last.rung == len(plan.rungs) - 1 else 1
    match step:
        case GiveUp(code):
            assert code in KINDS
        case Call(place):
            assert last.rung < place < len(plan.rungs)
            if last.outcome is Outcome.UNUSABLE:
                is_elsewhere = plan.rungs[place].provider != plan.rungs[last.rung].provider
                assert is_elsewhere or last.error in ("bad_parameters", "image_too_large", "answer_too_large")
        case Again(place):
            assert place == last.rung
            assert last.outcome is not Outcome.TIMEOUT or len(history) < tries
            assert last.outcome is not Outcome.INTERRUPTED or len(history) < 2
            is_smaller = last.error == "reference_too_large" and plan.has_references and len(history) == 1
            assert last.outcome is not Outcome.UNUSABLE or is_smaller
    assert last.outcome is not Outcome.REJECTED or isinstance(step, GiveUp)
    assert last.error != "result_unreachable" or isinstance(step, GiveUp)
    assert [attempt.error for attempt in history].count("result_expired") < 2 or isinstance(step, GiveUp)


def check_breakers(step: Step, open_step: Step, plan: Ladder, blocked: BlockedRoutes) -> None:
    """No call goes on a blocked route, and no job leaves a provider that is only busy."""
    if not isinstance(open_step, Call | Again):
        assert step == open_step
        return
    wanted = plan.rungs[open_step.rung].route
    if wanted not in blocked:
        assert step == open_step
    elif blocked[wanted].code == "":
        assert isinstance(step, Later | GiveUp)
    if isinstance(step, Call | Again):
        assert plan.rungs[step.rung].route not in blocked
    if isinstance(step, Later):
        assert step.at_breaker == (wanted in blocked)
        assert step.code in [why.code for route, why in blocked.items() if route[0] == step.provider]
        assert not step.code or KINDS[step.code].retryable


OUTCOMES = st.sampled_from(FAILURES)
LIMITS = {(Outcome.RATE_LIMITED, code) for outcome, code in FAILURES if outcome is Outcome.RATE_LIMITED}
OUTAGES = {(Outcome.TRANSIENT, "provider_down"), (Outcome.TRANSIENT, "provider_unreachable")}
FINITE = st.sampled_from(sorted(set(FAILURES) - LIMITS - OUTAGES, key=str))
PLANS = st.sampled_from([plan for _, plan in PLACES.values()] + [TWO, replace(TWO, has_references=True)])
WAITS = st.sampled_from([None, 0.0, 0.5, 7.0, 90.0])


def walk(plan: Ladder, happening: Iterator[tuple[Failure, float | None]], most_calls: int) -> list[Attempt]:
    """Walk down a ladder as a worker does, with time enough; answer all the calls."""
    history: list[Attempt] = []
    step, wait_s, has_waited = next_step(plan, history, 9999), None, True
    while len(history) < most_calls and not isinstance(step, GiveUp):
        called = next_step(plan, history, 9999, retry_after_s=wait_s, has_waited=has_waited)
        assert isinstance(called, Call | Again)
        assert isinstance(step, Later) or called.rung == step.rung
        (outcome, code), wait_s = next(happening)
        history += attempts(outcome, rung=called.rung, error=code)
        step = next_step(plan, history, 9999, retry_after_s=wait_s)
        has_waited = not isinstance(step, Call)
    return history


@given(PLANS, st.data())
def test_every_walk_ends_within_its_budget_and_repeats_nothing_that_is_billed(
    plan: Ladder, data: st.DataObject
) -> None:
    happening = iter(lambda: (data.draw(OUTCOMES), data.draw(WAITS)), None)
    history = walk(plan, happening, 9)
    times = Counter((attempt.rung, attempt.outcome) for attempt in history)
    lowest = len(plan.rungs) - 1
    assert len(history) <= 9
    assert [attempt.rung for attempt in history] == sorted(attempt.rung for attempt in history)
    assert all(times[place, Outcome.TIMEOUT] <= (2 if place == lowest else 1) for place in range(lowest + 1))
    assert all(times[place, Outcome.INTERRUPTED] <= 2 for place in range(lowest + 1))
    assert sum(attempt.outcome is Outcome.REJECTED for attempt in history[:-1]) == 0
    assert sum(attempt.error == "result_unreachable" for attempt in history[:-1]) == 0
    assert sum(attempt.error == "result_expired" for attempt in history) <= 2


@given(PLANS, st.data())
def test_without_a_budget_only_limits_and_outages_go_on(plan: Ladder, data: st.DataObject) -> None:
    happening = iter(lambda: (data.draw(FINITE), data.draw(WAITS)), None)
    most = len(plan.rungs) * sum(tries for outcome, tries in TRIES.items() if outcome is not Outcome.RATE_LIMITED)
    assert len(walk(plan, happening, 1000)) <= most


@pytest.mark.parametrize("failure", sorted(LIMITS | OUTAGES), ids=name)
def test_limits_and_outages_go_on_until_the_budget_ends_them(failure: Failure) -> None:
    history = walk(PLAN, repeat((failure, None)), 50)
    assert len(history) == 50
    assert {attempt.rung for attempt in history[-40:]} == {2}


def test_p26_a_rung_that_was_left_for_its_long_wait_is_not_called_again() -> None:
    history = walk(PLAN, repeat(((Outcome.RATE_LIMITED, "provider_rate_limited"), 86_400)), 50)
    assert [attempt.rung for attempt in history] == [0, 1, 2]


@pytest.mark.parametrize("left_s", [0, 1, 5, 60, 600])
def test_a_walk_in_which_time_passes_ends_in_time(left_s: float) -> None:
    history: list[Attempt] = []
    while not isinstance(step := next_step(PLAN, history, left_s), GiveUp):
        if isinstance(step, Later):
            left_s -= step.wait_s
            step = next_step(PLAN, history, left_s, has_waited=True)
        assert isinstance(step, Call | Again)
        left_s -= min(step.timeout_s, 0.1)
        history += attempts(Outcome.TRANSIENT, rung=step.rung, error="provider_down")
    assert 0 <= left_s < 61
