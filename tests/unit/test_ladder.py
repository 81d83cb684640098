"""Which rung next, as tables: every outcome, at every place of the ladder, with much or little time left."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from contract.config import ImageGeneration, ProviderConfig
from contract.job import Attempt, JobRequest, Outcome
from contract.settings import Fallback, Knobs, Settings
from worker.ladder import (
    LEAST_CALL_S,
    LONGEST_WAIT_S,
    SLOT_WAIT_S,
    TRIES,
    Again,
    Call,
    GiveUp,
    Later,
    Plan,
    Rung,
    Step,
    most_useful,
    next_step,
    plan_ladder,
)
from worker.providers.table import PROVIDERS

WHEN = datetime(2026, 1, 1, tzinfo=UTC)


def rung(**knobs: Any) -> Rung:
    standard = {"provider": "openrouter", "model": "a/b", "image_size": "4K", "quality": None, "timeout_s": 120.0}
    return Rung(**{**standard, **knobs})


PLAN = Plan(rungs=(rung(), rung(image_size="2K"), rung(image_size="1K")))


CALL: dict[str, Any] = {"index": 0, "provider": "openrouter", "model": "a/b", "image_size": "4K", "started_at": WHEN}


def attempts(*outcomes: Outcome, rung: int = 0, error: str = "provider_error") -> list[Attempt]:
    return [Attempt(**CALL, rung=rung, outcome=outcome, error=error) for outcome in outcomes]


def test_the_first_step_is_a_call_on_the_first_rung() -> None:
    assert next_step(PLAN, [], 600) == Call(0, 120)


REPEATABLE = [outcome for outcome, tries in TRIES.items() if tries > 1 and outcome is not Outcome.RATE_LIMITED]


@pytest.mark.parametrize("outcome", REPEATABLE)
@pytest.mark.parametrize("place", [0, 1, 2], ids=["first", "middle", "last"])
def test_what_may_pass_is_tried_again_on_the_same_rung_and_not_for_ever(outcome: Outcome, place: int) -> None:
    for tried in range(1, TRIES[outcome]):
        assert next_step(PLAN, attempts(*[outcome] * tried, rung=place), 600) == Again(place, 120, 0)
    spent = next_step(PLAN, attempts(*[outcome] * TRIES[outcome], rung=place), 600)
    assert spent == (Call(place + 1, 120) if place < 2 else GiveUp("provider_error"))


@pytest.mark.parametrize(
    ("outcome", "tries"),
    [
        *((Outcome.TIMEOUT, 1), (Outcome.INTERRUPTED, 2), (Outcome.LOST, 3), (Outcome.TRANSIENT, 3)),
        *((Outcome.UNUSABLE, 1), (Outcome.RATE_LIMITED, 4), (Outcome.DELIVERED, 2)),
    ],
)
def test_what_may_have_been_billed_is_not_repeated_blindly(outcome: Outcome, tries: int) -> None:
    assert TRIES[outcome] == tries


@pytest.mark.parametrize("outcome", [*TRIES, Outcome.REJECTED])
@pytest.mark.parametrize("place", [0, 1, 2], ids=["first", "middle", "last"])
@pytest.mark.parametrize("left_s", [0.5, 2, 30, 600])
@pytest.mark.parametrize("retry_after_s", [None, 0.5, 20, 1e99])
def test_every_outcome_at_every_place_has_a_step_that_fits_the_time(
    outcome: Outcome, place: int, left_s: float, retry_after_s: float | None
) -> None:
    step = next_step(PLAN, attempts(outcome, rung=place), left_s, retry_after_s=retry_after_s)
    match step:
        case Call(number, timeout_s):
            assert number > place
            assert 0 < timeout_s <= left_s
        case Again(number, timeout_s, least_s):
            assert number == place
            assert 0 < timeout_s <= left_s
            assert least_s <= min(SLOT_WAIT_S, left_s - LEAST_CALL_S)
        case Later(wait_s):
            assert SLOT_WAIT_S < wait_s <= left_s - LEAST_CALL_S
        case GiveUp(code):
            assert code in ("provider_error", "deadline_passed")
            assert left_s < LEAST_CALL_S or place == 2 or outcome in (Outcome.REJECTED, Outcome.UNUSABLE)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_time_out_goes_down_one_rung_and_is_tried_once_more_on_the_lowest(place: int) -> None:
    history = attempts(Outcome.TIMEOUT, rung=place, error="provider_timeout")
    assert next_step(PLAN, history, 600) == (Call(place + 1, 120) if place < 2 else Again(2, 120, 0))
    assert next_step(PLAN, history * 2, 600) == (Call(place + 1, 120) if place < 2 else GiveUp("provider_timeout"))


@pytest.mark.parametrize("given_up", [1, 2, 5])
def test_calls_that_our_own_worker_gave_up_say_nothing_about_a_rung(given_up: int) -> None:
    cancelled = attempts(*[Outcome.CANCELLED] * given_up, rung=1)
    assert next_step(PLAN, cancelled, 600) == Call(0, 120)
    assert next_step(PLAN, [*attempts(Outcome.TIMEOUT), *cancelled], 600) == Call(1, 120)
    assert next_step(PLAN, [*attempts(Outcome.INTERRUPTED), *cancelled], 600) == Again(0, 120, 0)
    assert next_step(PLAN, attempts(Outcome.CANCELLED, error="provider_auth"), 0) == GiveUp("deadline_passed")


@pytest.mark.parametrize("place", [0, 1, 2])
def test_refused_content_is_taken_nowhere_else(place: int) -> None:
    history = attempts(Outcome.REJECTED, rung=place, error="content_refused")
    assert next_step(PLAN, history, 600) == GiveUp("content_refused")


MIXED = Plan(
    rungs=(
        rung(),
        rung(quality="low"),
        rung(image_size="2K"),
        rung(model="c/d"),
        rung(provider="aihubmix", model="e"),
    )
)


@pytest.mark.parametrize(
    ("error", "place", "step"),
    [
        ("bad_parameters", 0, Call(1, 120)),
        ("bad_model", 0, Call(3, 120)),
        ("bad_model", 3, Call(4, 120)),
        ("provider_auth", 0, Call(4, 120)),
        ("provider_credits", 0, Call(4, 120)),
        ("provider_forbidden", 2, Call(4, 120)),
        ("unsafe_url", 0, Call(4, 120)),
        ("provider_auth", 4, GiveUp("provider_auth")),
    ],
)
def test_what_a_provider_cannot_do_is_asked_of_a_rung_that_differs_in_that(error: str, place: int, step: Step) -> None:
    assert next_step(MIXED, attempts(Outcome.UNUSABLE, rung=place, error=error), 9999) == step


def test_a_ladder_of_one_provider_gives_up_on_its_key_at_once() -> None:
    history = attempts(Outcome.UNUSABLE, error="provider_auth")
    assert next_step(PLAN, history, 600) == GiveUp("provider_auth")


LIMITED = attempts(Outcome.RATE_LIMITED, error="provider_rate_limited")


@pytest.mark.parametrize(
    ("retry_after_s", "left_s", "step"),
    [
        (None, 600, Again(0, 120, 1)),
        (0.5, 600, Again(0, 120, 0.5)),
        (SLOT_WAIT_S, 600, Again(0, 120, SLOT_WAIT_S)),
        (SLOT_WAIT_S + 0.1, 600, Later(SLOT_WAIT_S + 0.1)),
        (LONGEST_WAIT_S, 600, Later(LONGEST_WAIT_S)),
        (LONGEST_WAIT_S + 1, 600, Call(1, 120)),
        (86_400, 600, Call(1, 120)),
        (float("inf"), 600, Call(1, 120)),
        (20, 30, Later(20)),
        (29.5, 30, Call(1, 15)),
    ],
)
def test_p24_p26_a_wait_is_obeyed_if_it_is_worth_it(retry_after_s: float | None, left_s: float, step: Step) -> None:
    assert next_step(PLAN, LIMITED, left_s, retry_after_s=retry_after_s) == step


@pytest.mark.parametrize("place", [0, 1, 2], ids=["first", "middle", "last"])
def test_a_limit_without_a_time_is_waited_for_twice_as_long_each_time(place: int) -> None:
    steps = [next_step(PLAN, attempts(*[Outcome.RATE_LIMITED] * tried, rung=place), 600) for tried in range(1, 7)]
    assert steps[:3] == [Again(place, 120, 1), Again(place, 120, 2), Again(place, 120, 4)]
    assert steps[3:] == ([Call(place + 1, 120)] * 3 if place < 2 else [Later(8), Later(16), Later(32)])


@pytest.mark.parametrize("place", [0, 1, 2], ids=["first", "middle", "last"])
def test_only_the_lowest_rung_obeys_a_limit_as_often_as_it_is_told(place: int) -> None:
    step = next_step(PLAN, attempts(*[Outcome.RATE_LIMITED] * 30, rung=place), 600, retry_after_s=3)
    assert step == (Call(place + 1, 120) if place < 2 else Again(2, 120, 3))


def test_p26_a_wait_that_is_too_long_on_the_last_rung_is_the_end() -> None:
    history = attempts(Outcome.RATE_LIMITED, rung=2, error="provider_rate_limited")
    assert next_step(PLAN, history, 600, retry_after_s=3600) == GiveUp("provider_rate_limited")


@pytest.mark.parametrize("history", [[], LIMITED, attempts(Outcome.DELIVERED)], ids=["new", "limited", "delivered"])
def test_without_time_for_a_call_none_is_made(history: list[Attempt]) -> None:
    assert isinstance(next_step(PLAN, history, LEAST_CALL_S - 0.01), GiveUp)


def test_what_ran_out_of_time_tells_the_more_useful_error() -> None:
    assert next_step(PLAN, [], 0) == GiveUp("deadline_passed")
    assert next_step(PLAN, attempts(Outcome.TRANSIENT, error="provider_down"), 0) == GiveUp("deadline_passed")
    assert next_step(PLAN, attempts(Outcome.UNUSABLE, error="provider_auth"), 0) == GiveUp("provider_auth")


@pytest.mark.parametrize(
    ("place", "left_s", "timeout_s"),
    [(0, 600, 120), (0, 300, 100), (0, 30, 10), (1, 30, 15), (2, 30, 30), (2, 600, 120)],
)
def test_lower_rungs_keep_their_share_of_the_time(place: int, left_s: float, timeout_s: float) -> None:
    history = attempts(Outcome.TIMEOUT, rung=place - 1) if place else []
    assert next_step(PLAN, history, left_s) == Call(place, timeout_s)


def test_tries_are_counted_per_rung_and_outcome() -> None:
    history = [
        *attempts(Outcome.TRANSIENT, Outcome.TRANSIENT, Outcome.INTERRUPTED),
        *attempts(Outcome.TRANSIENT, rung=1),
    ]
    assert next_step(PLAN, history, 600) == Again(1, 120, 0)
    assert next_step(PLAN, [*history[:3], *attempts(Outcome.TRANSIENT)], 600) == Call(1, 120)


@pytest.mark.parametrize(
    ("codes", "best"),
    [
        ([], "provider_error"),
        (["provider_down", "provider_timeout"], "provider_timeout"),
        (["provider_timeout", "provider_auth", "provider_down"], "provider_auth"),
        (["content_refused", "provider_auth"], "content_refused"),
        (["provider_down", "provider_error"], "provider_error"),
        (["bad_image", "no_image"], "no_image"),
    ],
)
def test_the_most_useful_error_is_told_and_among_equals_the_last(codes: list[str], best: str) -> None:
    assert most_useful(codes) == best


def ladder(size: str, provider: str = "openrouter", body: Any = None, **knobs: Any) -> list[tuple[str, str | None]]:
    plan = plan_ladder(*_asked(size, provider, body, knobs), PROVIDERS)
    return [(step.image_size, step.quality) for step in plan.rungs]


def _asked(size: str, provider: str, body: Any, knobs: Any) -> tuple[JobRequest, Settings]:
    settings = Settings(
        config_path=Path("/nowhere/config.json"),
        image=ImageGeneration(provider=provider, model="vendor/model"),
        providers={name: ProviderConfig(extra_body=body or {} if name == provider else {}) for name in PROVIDERS},
        workspace=Path("/nowhere"),
        knobs=Knobs(**knobs),
    )
    return JobRequest(prompt="a fox", aspect_ratio="1:1", image_size=size), settings


@pytest.mark.parametrize(
    ("size", "provider", "body", "rungs"),
    [
        ("4K", "openrouter", {}, [("4K", None), ("2K", None), ("1K", None)]),
        ("2K", "openrouter", {}, [("2K", None), ("1K", None)]),
        ("1K", "openrouter", {}, [("1K", None)]),
        ("512", "openrouter", {}, [("512", None)]),
        ("auto", "openrouter", {}, [("auto", None)]),
        ("3000x2000", "openrouter", {}, [("3000x2000", None), ("2K", None), ("1K", None)]),
        ("1024x768", "openrouter", {}, [("1024x768", None)]),
        ("2K", "openrouter", {"quality": "low"}, [("2K", "low"), ("1K", "low")]),
        ("1K", "aihubmix", {}, [("1K", None), ("1K", "low")]),
        ("4K", "aihubmix", {}, [("4K", None), ("4K", "low")]),
        ("2048x2048", "aihubmix", {}, [("2048x2048", None), ("2048x2048", "low"), ("1K", "low")]),
        ("1K", "aihubmix", {"quality": "low"}, [("1K", "low")]),
        ("1K", "aihubmix", {"quality": "high"}, [("1K", "high"), ("1K", "low")]),
        ("1K", "aihubmix", {"quality": 7}, [("1K", None), ("1K", "low")]),
    ],
)
def test_by_default_rungs_get_cheaper_and_then_smaller(size: str, provider: str, body: Any, rungs: list[Any]) -> None:
    assert ladder(size, provider, body) == rungs


def test_configured_fallbacks_take_the_place_of_the_default_ones() -> None:
    fallbacks = (
        Fallback(image_size="1K", quality="low"),
        Fallback(provider="aihubmix", model="gpt-image-2-free"),
        Fallback(timeout_seconds=7),
    )
    plan = plan_ladder(*_asked("4K", "openrouter", {"quality": "high"}, {"fallbacks": fallbacks}), PROVIDERS)
    first = rung(model="vendor/model", quality="high")
    assert plan.rungs == (
        first,
        rung(model="vendor/model", image_size="1K", quality="low"),
        rung(provider="aihubmix", model="gpt-image-2-free", quality="high", timeout_s=300.0),
        rung(model="vendor/model", quality="high", timeout_s=7.0),
    )


@pytest.mark.parametrize(
    ("provider", "knobs", "timeout_s"),
    [("openrouter", {}, 120), ("aihubmix", {}, 300), ("aihubmix", {"attempt_timeout_seconds": 9}, 9)],
)
def test_the_patience_is_the_providers_or_the_configured_one(provider: str, knobs: Any, timeout_s: float) -> None:
    plan = plan_ladder(*_asked("1K", provider, {}, knobs), PROVIDERS)
    assert {step.timeout_s for step in plan.rungs} == {timeout_s}


def test_a_wait_that_is_over_is_not_waited_again() -> None:
    limited = attempts(*[Outcome.RATE_LIMITED] * 8, rung=2)
    assert next_step(PLAN, limited, 600) == Later(32)
    assert next_step(PLAN, limited, 600, has_waited=True) == Again(2, 120, 0)
