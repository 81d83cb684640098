"""Which rung next, step by step, where the rule is simple enough to be told."""

from dataclasses import replace

import pytest

from contract.errors.catalogue.table import PROVIDER
from contract.jobs.job import Attempt, Outcome
from tests.support.factories.ladders import BLOCKED, FIRST, HUB, PLAN, TWO, Failure, attempts, every_place, name, rung
from worker.policy.circuit_breaker import Blocked
from worker.policy.ladder import Ladder
from worker.policy.retry_policy import (
    LEAST_CALL_S,
    LONGEST_WAIT_S,
    SLOT_WAIT_S,
    Again,
    Call,
    GiveUp,
    Later,
    Step,
    most_useful,
    next_step,
)


def test_the_first_step_is_a_call_on_the_first_rung() -> None:
    assert next_step(PLAN, [], 600) == Call(0, 120)


# What happens to the same failure again and again: "down" is the next rung, a number is the least wait before a
# repeat, and the last word stays. First on any rung but the lowest, then on the lowest.
STORIES: dict[Failure, tuple[str, str]] = {
    (Outcome.TRANSIENT, "provider_error"): ("0 0 down", "0 0 end"),
    (Outcome.TRANSIENT, "provider_timeout"): ("0 0 down", "0 0 4 8 16 32 32"),
    (Outcome.TRANSIENT, "provider_down"): ("0 0 down", "0 0 4 8 16 32 32"),
    (Outcome.TRANSIENT, "provider_unreachable"): ("0 0 down", "0 0 4 8 16 32 32"),
    (Outcome.RATE_LIMITED, "provider_rate_limited"): ("1 2 4 down", "1 2 4 8 16 32 32"),
    (Outcome.RATE_LIMITED, "provider_down"): ("1 2 4 down", "1 2 4 8 16 32 32"),
    (Outcome.TIMEOUT, "provider_timeout"): ("down", "0 end"),
    (Outcome.INTERRUPTED, "provider_interrupted"): ("0 down", "0 end"),
    (Outcome.INTERRUPTED, "no_image"): ("0 down", "0 end"),
    (Outcome.INTERRUPTED, "result_expired"): ("0 end", "0 end"),
    (Outcome.INTERRUPTED, "result_unreachable"): ("end", "end"),
    (Outcome.INTERRUPTED, "provider_down"): ("0 down", "0 end"),
    (Outcome.LOST, None): ("0 0 down", "0 0 end"),
    (Outcome.DELIVERED, None): ("0 down", "0 end"),
    (Outcome.REJECTED, "content_refused"): ("end", "end"),
    (Outcome.UNUSABLE, "provider_auth"): ("end", "end"),
}


def told(word: str, place: int, code: str | None) -> Step:
    if word == "end":
        return GiveUp(code or "provider_error")
    if word == "down":
        return Call(place + 1, 120)
    wait_s = float(word)
    return Again(place, 120, wait_s) if wait_s <= SLOT_WAIT_S else Later(wait_s, "openrouter", code or "")


@pytest.mark.parametrize("failure", STORIES, ids=name)
@every_place
def test_the_same_failure_again_and_again(place: int, plan: Ladder, failure: Failure) -> None:
    outcome, code = failure
    words = STORIES[failure][place == len(plan.rungs) - 1].split()
    for times, word in enumerate([*words, words[-1]], start=1):
        history = attempts(*[outcome] * times, rung=place, error=code)
        assert next_step(plan, history, 600) == told(word, place, code)


@every_place
def test_an_error_that_the_provider_makes_of_others_too_is_waited_for(place: int, plan: Ladder) -> None:
    is_lowest = place == len(plan.rungs) - 1
    for times, wait_s in enumerate((0, 0, 4, 8, 16, 32, 32), start=1):
        history = attempts(*[Outcome.TRANSIENT] * times, rung=place, error="provider_error")
        word = f"{wait_s}" if is_lowest or times < 3 else "down"
        assert next_step(plan, history, 600, falters=True) == told(word, place, "provider_error")
        again = Again(place, 120, 0) if is_lowest or times < 3 else Call(place + 1, 120)
        assert next_step(plan, history, 600, has_waited=True) == again


CHEAPER = Ladder(rungs=(rung(), rung(model="c/d"), HUB))


@pytest.mark.parametrize("code", ["provider_credits", "provider_down"])
def test_a_blocked_model_is_passed_by_another_model(code: str) -> None:
    assert next_step(CHEAPER, [], 600, blocked={FIRST: Blocked(40, code)}) == Call(1, 120)
    both = {FIRST: Blocked(40, code), ("openrouter", "c/d"): Blocked(40, code)}
    assert next_step(CHEAPER, [], 600, blocked=both) == Call(2, 120)


@pytest.mark.parametrize(
    ("blocked", "plan", "left_s", "step"),
    [
        ("busy", PLAN, 600, Later(3, "openrouter", at_breaker=True)),
        ("busy", TWO, 600, Later(3, "openrouter", at_breaker=True)),
        ("busy", PLAN, 3.5, Later(1.5, "openrouter", at_breaker=True)),
        ("busy", PLAN, 1.5, GiveUp("deadline_passed")),
        ("away", PLAN, 600, Later(20, "openrouter", "provider_down", at_breaker=True)),
        ("away", TWO, 600, Call(2, 120)),
        ("away", TWO, 30, Call(2, 30)),
        ("away", PLAN, 20, Later(18, "openrouter", "provider_down", at_breaker=True)),
        ("away", PLAN, 1.5, GiveUp("provider_down")),
        ("no key", PLAN, 600, GiveUp("provider_auth")),
        ("no key", TWO, 600, Call(2, 120)),
        ("other busy", TWO, 600, Call(0, 120)),
        ("both busy", TWO, 600, Later(3, "aihubmix", at_breaker=True)),
        ("away, other busy", TWO, 600, Later(3, "aihubmix", at_breaker=True)),
        ("no key, other away", TWO, 600, Later(20, "aihubmix", "provider_down", at_breaker=True)),
        ("no keys", TWO, 600, GiveUp("provider_credits")),
    ],
)
def test_a_blocked_route_is_passed_below_or_waited_for(blocked: str, plan: Ladder, left_s: float, step: Step) -> None:
    assert next_step(plan, [], left_s, blocked=BLOCKED[blocked]) == step


MIXED = Ladder(rungs=(rung(), rung(quality="low"), rung(image_size="2K"), rung(model="c/d"), HUB))


@pytest.mark.parametrize(
    ("error", "steps"),
    [
        ("bad_parameters", [1, 2, 3, 4, None]),
        ("answer_too_large", [1, 2, 3, 4, None]),
        ("image_too_large", [2, 2, 3, 4, None]),
        *((code, [3, 3, 3, 4, None]) for code in ("bad_model", "model_excluded", "references_not_taken")),
        *((code, [3, 3, 3, 4, None]) for code in ("provider_credits", "provider_too_dear", "provider_forbidden")),
        ("provider_auth", [4, 4, 4, 4, None]),
        *(
            (code, [4, 4, 4, 4, None])
            for code in ("provider_tls_failed", "bad_api_base", "unsafe_url", "answer_encoded")
        ),
        *((code, [4, 4, 4, 4, None]) for code in ("provider_error", "reference_too_large")),
    ],
)
def test_what_a_provider_cannot_do_is_asked_of_a_rung_that_differs_in_that(error: str, steps: list[int | None]) -> None:
    for place, below in enumerate(steps):
        step = next_step(MIXED, attempts(Outcome.UNUSABLE, rung=place, error=error), 9999)
        assert step == (GiveUp(error) if below is None else Call(below, 120))


BACK = Ladder(rungs=(rung(), HUB, rung(image_size="1K")))


def test_a_provider_that_cannot_is_not_asked_again_below_another_one() -> None:
    history = attempts(Outcome.UNUSABLE, error="unsafe_url")
    away = Later(9, "aihubmix", "provider_down", at_breaker=True)
    assert next_step(BACK, history, 600) == Call(1, 120)
    assert next_step(BACK, history, 600, blocked={HUB.route: Blocked(9, "provider_down")}) == away
    history += attempts(Outcome.TIMEOUT, rung=1, error="provider_timeout")
    assert next_step(BACK, history, 600) == GiveUp("provider_timeout")


@pytest.mark.parametrize("outcome", sorted(set(Outcome) - {Outcome.RUNNING}))
@pytest.mark.parametrize("place", [1, 2])
def test_on_a_ladder_that_has_become_shorter_the_lost_rungs_count_as_its_lowest(place: int, outcome: Outcome) -> None:
    short = Ladder(rungs=(rung(),))
    assert next_step(short, attempts(outcome, rung=place), 600) == next_step(short, attempts(outcome), 600)


@every_place
def test_p39_references_that_are_too_large_are_sent_once_more_and_smaller(place: int, plan: Ladder) -> None:
    history = attempts(Outcome.UNUSABLE, rung=place, error="reference_too_large")
    with_references = replace(plan, has_references=True)
    assert next_step(with_references, history, 600) == Again(place, 120, 0)
    assert next_step(plan, history, 600) == GiveUp("reference_too_large")
    for times in (2, 3, 4):
        assert next_step(with_references, history * times, 600) == GiveUp("reference_too_large")


@pytest.mark.parametrize("given_up", [1, 2, 5])
def test_calls_that_our_own_worker_gave_up_say_nothing_about_a_rung(given_up: int) -> None:
    cancelled = attempts(*[Outcome.CANCELLED] * given_up, rung=1)
    assert next_step(PLAN, cancelled, 600) == Call(0, 120)
    assert next_step(PLAN, [*attempts(Outcome.TIMEOUT), *cancelled], 600) == Call(1, 120)
    assert next_step(PLAN, [*attempts(Outcome.INTERRUPTED), *cancelled], 600) == Again(0, 120, 0)
    assert next_step(PLAN, attempts(Outcome.CANCELLED, error="provider_auth"), 0) == GiveUp("deadline_passed")


LIMITED = attempts(Outcome.RATE_LIMITED, error="provider_rate_limited")


def later(wait_s: float) -> Later:
    return Later(wait_s, "openrouter", "provider_rate_limited")


@pytest.mark.parametrize(
    ("retry_after_s", "left_s", "step"),
    [
        (None, 600, Again(0, 120, 1)),
        (0.5, 600, Again(0, 120, 0.5)),
        (SLOT_WAIT_S, 600, Again(0, 120, SLOT_WAIT_S)),
        (SLOT_WAIT_S + 0.1, 600, later(SLOT_WAIT_S + 0.1)),
        (LONGEST_WAIT_S, 600, later(LONGEST_WAIT_S)),
        (LONGEST_WAIT_S + 1, 600, Call(1, 120)),
        (86_400, 600, Call(1, 120)),
        (float("inf"), 600, Call(1, 120)),
        (20, 30, later(20)),
        (29.5, 30, Call(1, 15)),
    ],
)
def test_p24_p26_a_wait_is_obeyed_if_it_is_worth_it(retry_after_s: float | None, left_s: float, step: Step) -> None:
    assert next_step(PLAN, LIMITED, left_s, retry_after_s=retry_after_s) == step


@every_place
def test_only_the_lowest_rung_obeys_a_limit_as_often_as_it_is_told(place: int, plan: Ladder) -> None:
    step = next_step(plan, attempts(*[Outcome.RATE_LIMITED] * 30, rung=place), 600, retry_after_s=3)
    assert step == (Again(place, 120, 3) if place == len(plan.rungs) - 1 else Call(place + 1, 120))


def test_p26_a_wait_that_is_too_long_on_the_last_rung_is_the_end() -> None:
    history = attempts(Outcome.RATE_LIMITED, rung=2, error="provider_rate_limited")
    assert next_step(PLAN, history, 600, retry_after_s=3600) == GiveUp("provider_rate_limited")


def test_a_wait_that_is_over_is_not_waited_again() -> None:
    limited = attempts(*[Outcome.RATE_LIMITED] * 8, rung=2)
    assert next_step(PLAN, limited, 600) == Later(32, "openrouter", "provider_error")
    assert next_step(PLAN, limited, 600, has_waited=True) == Again(2, 120, 0)


def test_the_first_back_off_is_the_unit_of_all_waits() -> None:
    quick = replace(PLAN, retry_s=0.01)
    steps = [next_step(quick, attempts(*[Outcome.RATE_LIMITED] * times, rung=2), 600) for times in (1, 2, 6, 9)]
    assert steps == [Again(2, 120, 0.01), Again(2, 120, 0.02), Again(2, 120, 0.32), Again(2, 120, 0.32)]


@pytest.mark.parametrize("history", [[], LIMITED, attempts(Outcome.DELIVERED)], ids=["new", "limited", "delivered"])
def test_without_time_for_a_call_none_is_made(history: list[Attempt]) -> None:
    assert isinstance(next_step(PLAN, history, LEAST_CALL_S - 0.01), GiveUp)


def test_what_ran_out_of_time_tells_the_more_useful_error() -> None:
    assert next_step(PLAN, [], 0) == GiveUp("deadline_passed")
    assert next_step(PLAN, attempts(Outcome.TRANSIENT, error="provider_down"), 0) == GiveUp("provider_down")
    assert next_step(PLAN, attempts(Outcome.UNUSABLE, error="provider_auth"), 0) == GiveUp("provider_auth")


@pytest.mark.parametrize(
    ("place", "left_s", "timeout_s"),
    [(0, 600, 120), (0, 300, 100), (0, 30, 10), (1, 30, 15), (2, 30, 30), (2, 600, 120)],
)
def test_lower_rungs_keep_their_share_of_the_time(place: int, left_s: float, timeout_s: float) -> None:
    history = attempts(Outcome.TIMEOUT, rung=place - 1) if place else []
    assert next_step(PLAN, history, left_s) == Call(place, timeout_s)


@pytest.mark.parametrize("left_s", [LEAST_CALL_S, 2.0, 2.9])
def test_no_call_gets_less_time_than_makes_it_worth_its_money(left_s: float) -> None:
    assert next_step(PLAN, [], left_s) == Call(0, LEAST_CALL_S)


def test_tries_are_counted_per_rung_and_outcome() -> None:
    here = attempts(Outcome.TRANSIENT, Outcome.TRANSIENT, Outcome.INTERRUPTED)
    assert next_step(PLAN, [*here, *attempts(Outcome.TRANSIENT, rung=1)], 600) == Again(1, 120, 0)
    assert next_step(PLAN, [*here, *attempts(Outcome.TRANSIENT)], 600) == Call(1, 120)


@pytest.mark.parametrize(
    ("codes", "best"),
    [
        ([], "provider_error"),
        (["provider_down", "provider_timeout"], "provider_timeout"),
        (["provider_timeout", "provider_auth", "provider_down"], "provider_auth"),
        (["content_refused", "provider_auth"], "content_refused"),
        (["provider_down", "provider_error"], "provider_error"),
        (["bad_image", "no_image"], "no_image"),
        (["deadline_passed", "call_budget_spent"], "call_budget_spent"),
        (["deadline_passed", "provider_unreachable"], "provider_unreachable"),
    ],
)
def test_the_most_useful_error_is_told_and_among_equals_the_last(codes: list[str], best: str) -> None:
    assert most_useful(codes) == best


@pytest.mark.parametrize("code", PROVIDER)
def test_whatever_a_provider_did_tells_more_than_that_we_stopped(code: str) -> None:
    for stopped in ("deadline_passed", "call_budget_spent", "internal_error"):
        assert most_useful([code, stopped]) == code


@pytest.mark.parametrize("plan", [PLAN, TWO])
def test_what_was_lost_on_one_rung_and_then_on_another_is_not_made_a_third_time(plan: Ladder) -> None:
    history = attempts(Outcome.INTERRUPTED, error="result_expired") + attempts(Outcome.TIMEOUT)
    assert next_step(plan, history, 600) == Call(1, 120)
    history += attempts(Outcome.INTERRUPTED, rung=1, error="result_expired")
    assert next_step(plan, history, 600) == GiveUp("result_expired")


def test_that_a_picture_is_made_and_cannot_be_fetched_is_told_also_when_the_time_is_over() -> None:
    history = attempts(Outcome.TIMEOUT, error="provider_timeout")
    history += attempts(Outcome.INTERRUPTED, rung=1, error="result_unreachable")
    assert next_step(PLAN, history, 600) == GiveUp("result_unreachable")
    assert next_step(PLAN, history, 0) == GiveUp("result_unreachable")
