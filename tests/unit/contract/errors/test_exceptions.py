"""The tree of errors: each keeps what the ladder needs, in other words, in another branch and in another process."""

import json

import pytest

from contract.errors.catalogue.provider import BAD_IMAGE, PROVIDER_DOWN, PROVIDER_ERROR
from contract.errors.catalogue.table import KINDS
from contract.errors.exceptions import ConfigInvalid, DarkroomError, Problem, Refused, Unavailable
from contract.jobs.job import Outcome
from worker.answers.errors import (
    Interrupted,
    ProviderError,
    RateLimited,
    Rejected,
    TimedOut,
    Transient,
    Unusable,
    revive,
)

BRANCHES: list[type[ProviderError]] = [Transient, RateLimited, TimedOut, Interrupted, Unusable, Rejected]
SECRET = "custom-key-0123456789abcdef"

every_branch = pytest.mark.parametrize("branch", BRANCHES)


def facts(error: ProviderError) -> tuple[object, ...]:
    return type(error), error.code, error.http_status, error.retry_after_s, error.cost_usd, error.detail


def made(branch: type[ProviderError], code: str = "provider_error") -> ProviderError:
    return branch(KINDS[code], http_status=503, retry_after_s=2.5, cost_usd=0.04, reason="it {is} “busy”", seconds=7.0)


def test_these_are_all_branches_and_each_is_an_outcome_of_an_attempt() -> None:
    assert set(ProviderError.__subclasses__()) == set(BRANCHES)
    assert len({branch.outcome for branch in BRANCHES}) == len(BRANCHES)
    assert {Outcome(branch.outcome) for branch in BRANCHES} < set(Outcome)


@every_branch
@pytest.mark.parametrize("code", ["provider_error", "provider_timeout", "content_refused"])
def test_an_error_comes_back_from_another_process_as_it_was(branch: type[ProviderError], code: str) -> None:
    error = made(branch, code)
    again = revive(json.loads(json.dumps(error.record())))
    assert facts(again) == facts(error)
    assert again.values == error.values


@every_branch
def test_an_error_of_which_nothing_else_is_known_comes_back_too(branch: type[ProviderError]) -> None:
    assert facts(revive(json.loads(json.dumps(branch(BAD_IMAGE).record())))) == facts(branch(BAD_IMAGE))


@every_branch
def test_an_error_gets_a_name_and_stays_what_it_is(branch: type[ProviderError]) -> None:
    named = made(branch).named(provider="openrouter", model="a/b")
    assert facts(named)[:-1] == facts(made(branch))[:-1]
    assert named.detail == "openrouter could not make the image. it {is} “busy”."


@pytest.mark.parametrize(("known", "told", "cost_usd"), [(0.04, None, 0.04), (0.04, 0.0, 0.0), (None, 0.07, 0.07)])
def test_a_named_error_keeps_its_cost_unless_a_better_one_is_told(
    known: float | None, told: float | None, cost_usd: float
) -> None:
    assert Interrupted(BAD_IMAGE, cost_usd=known).named(cost_usd=told).cost_usd == cost_usd


def test_p56_a_named_error_shows_no_secret_and_no_flood() -> None:
    error = Transient(PROVIDER_ERROR, reason=f"\x1b[1mkey {SECRET}, <b>sorry</b> " + "x" * 5000)
    named = error.named(secrets=(SECRET,), provider="openrouter")
    assert named.detail.startswith("openrouter could not make the image. key …, sorry xxx")
    assert len(named.detail) < 300
    assert SECRET not in json.dumps(named.record())


def test_values_that_are_given_last_are_the_right_ones() -> None:
    assert Transient(PROVIDER_DOWN, provider="x").named(provider="openrouter").detail.startswith("openrouter is")


@pytest.mark.parametrize("branch", [Transient, RateLimited])
def test_once_a_call_was_accepted_it_may_have_been_billed(branch: type[ProviderError]) -> None:
    accepted = made(branch).after_acceptance()
    assert facts(accepted) == facts(made(Interrupted))


@pytest.mark.parametrize("branch", [TimedOut, Interrupted, Unusable, Rejected])
def test_what_may_have_been_billed_or_never_works_stays_the_same(branch: type[ProviderError]) -> None:
    error = made(branch)
    assert error.after_acceptance() is error


@pytest.mark.parametrize("code", KINDS)
def test_an_error_says_whether_a_repeat_may_help(code: str) -> None:
    error = DarkroomError(KINDS[code])
    assert error.retryable == KINDS[code].retryable
    assert str(error) == error.detail


def test_all_problems_of_a_configuration_are_told_at_once() -> None:
    problems = [Problem("providers.openrouter.apiKey", "is missing"), Problem("tools", "must be an object")]
    error = ConfigInvalid(problems)
    assert error.problems == tuple(problems)
    assert "providers.openrouter.apiKey: is missing; tools: must be an object" in error.detail
    assert isinstance(error, Refused)


def test_a_queue_that_does_not_answer_may_do_so_later() -> None:
    assert Unavailable().code == "queue_unavailable"
    assert Unavailable().retryable
