"""What each error says about its provider, as tables: every code, and the status beside it."""

from __future__ import annotations

import pytest

from contract.errors.catalogue.provider import (
    BAD_IMAGE,
    PROVIDER_AUTH,
    PROVIDER_CREDITS,
    PROVIDER_DOWN,
    PROVIDER_ERROR,
    PROVIDER_FORBIDDEN,
    PROVIDER_RATE_LIMITED,
    PROVIDER_TIMEOUT,
    PROVIDER_TOO_DEAR,
    PROVIDER_UNREACHABLE,
)
from contract.errors.catalogue.table import KINDS
from worker.answers.errors import Interrupted, ProviderError, RateLimited, TimedOut, Transient, Unusable
from worker.policy.circuit_breaker import CallOutcome, outcome_of

KEY = {"provider_auth", "provider_tls_failed"}
MODEL = {"provider_credits", "provider_forbidden"}
BAD = {
    *("provider_unreachable", "provider_timeout", "provider_interrupted", "provider_bad_answer"),
    *("provider_error", "provider_down", "bad_image", "unsupported_image", "image_too_large", "answer_too_large"),
    "answer_encoded",
}


def expected(code: str) -> CallOutcome:
    if code in KEY:
        return CallOutcome.KEY
    if code in MODEL:
        return CallOutcome.MODEL
    return CallOutcome.BAD if code in BAD else CallOutcome.NEUTRAL


@pytest.mark.parametrize("code", sorted(KINDS))
@pytest.mark.parametrize("status", [None, 200, 500])
def test_every_code(code: str, status: int | None) -> None:
    assert outcome_of(ProviderError(KINDS[code], http_status=status)) is expected(code)


def test_the_codes_exist() -> None:
    assert set(KINDS) >= KEY | MODEL | BAD


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (RateLimited(PROVIDER_RATE_LIMITED, http_status=429, retry_after_s=2), CallOutcome.THROTTLED),
        (RateLimited(PROVIDER_RATE_LIMITED), CallOutcome.THROTTLED),
        (RateLimited(PROVIDER_TIMEOUT, http_status=408, retry_after_s=2), CallOutcome.THROTTLED),
        (RateLimited(PROVIDER_DOWN, http_status=503, retry_after_s=2), CallOutcome.BAD),  # P30
        (Transient(PROVIDER_TIMEOUT, http_status=408), CallOutcome.NEUTRAL),  # P32
        (Transient(PROVIDER_ERROR, http_status=409), CallOutcome.NEUTRAL),
        (Unusable(PROVIDER_ERROR, http_status=418), CallOutcome.NEUTRAL),  # P42
        (Unusable(PROVIDER_AUTH, http_status=401), CallOutcome.KEY),
        (Unusable(PROVIDER_FORBIDDEN, http_status=403), CallOutcome.MODEL),
        (Unusable(PROVIDER_CREDITS, http_status=402), CallOutcome.MODEL),
        (Unusable(PROVIDER_CREDITS, http_status=429), CallOutcome.MODEL),
        (Unusable(PROVIDER_TOO_DEAR, http_status=402), CallOutcome.NEUTRAL),
        (Interrupted(PROVIDER_UNREACHABLE).elsewhere(), CallOutcome.NEUTRAL),  # the host of a picture
        (TimedOut(PROVIDER_TIMEOUT).elsewhere(), CallOutcome.NEUTRAL),
        (Interrupted(PROVIDER_RATE_LIMITED, http_status=429), CallOutcome.NEUTRAL),  # of a download
        (Interrupted(BAD_IMAGE, http_status=200), CallOutcome.BAD),
    ],
)
def test_the_status_beside_the_code(error: ProviderError, outcome: CallOutcome) -> None:
    assert outcome_of(error) is outcome
