"""Ladders to climb down in tests, and all that can happen on a rung."""

from datetime import UTC, datetime
from typing import Any

import pytest

from contract.jobs.job import Attempt, Outcome
from worker.policy.circuit_breaker import Blocked
from worker.policy.ladder import Ladder, Route, Rung

Failure = tuple[Outcome, str | None]
BlockedRoutes = dict[Route, Blocked]
WHEN = datetime(2026, 1, 1, tzinfo=UTC)


def rung(**knobs: Any) -> Rung:
    """Make a rung that is like the first one but for some knobs."""
    standard = {"provider": "openrouter", "model": "a/b", "image_size": "4K", "quality": None, "timeout_s": 120.0}
    return Rung(**{**standard, **knobs})


HUB = rung(provider="aihubmix", model="e")
PLAN = Ladder(rungs=(rung(), rung(image_size="2K"), rung(image_size="1K")))
FIRST = rung().route
TWO = Ladder(rungs=(rung(), rung(image_size="2K"), HUB))
PLACES = {"first": (0, PLAN), "middle": (1, PLAN), "last": (2, PLAN), "only": (0, Ladder(rungs=(rung(),)))}
every_place = pytest.mark.parametrize(("place", "plan"), PLACES.values(), ids=PLACES)


def attempts(*outcomes: Outcome, rung: int = 0, error: str | None = "provider_error") -> list[Attempt]:
    """Make ended attempts on one rung."""
    call: dict[str, Any] = {"index": 0, "model": "a/b", "image_size": "4K", "started_at": WHEN}
    return [Attempt(**call, provider="openrouter", rung=rung, outcome=outcome, error=error) for outcome in outcomes]


CODES: dict[Outcome, list[str | None]] = {
    Outcome.TRANSIENT: ["provider_down", "provider_unreachable", "provider_error", "provider_timeout"],
    Outcome.RATE_LIMITED: ["provider_rate_limited", "provider_down", "provider_error", "provider_timeout"],
    Outcome.TIMEOUT: ["provider_timeout"],
    Outcome.INTERRUPTED: [
        *("provider_interrupted", "provider_bad_answer", "no_image", "bad_image", "unsupported_image"),
        *("result_expired", "result_unreachable", "provider_down", "provider_rate_limited", "provider_unreachable"),
        "provider_error",
    ],
    Outcome.UNUSABLE: [
        *(
            "bad_parameters",
            "bad_model",
            "image_too_large",
            "answer_too_large",
            "answer_encoded",
            "reference_too_large",
        ),
        *("references_not_taken", "model_excluded"),
        *(
            "provider_credits",
            "provider_too_dear",
            "provider_auth",
            "provider_forbidden",
            "provider_tls_failed",
            "bad_api_base",
        ),
        *("unsafe_url", "provider_error"),
    ],
    Outcome.REJECTED: ["content_refused"],
    Outcome.LOST: [None],
    Outcome.DELIVERED: [None],
}


def name(failure: Failure) -> str:
    """Name a failure for a test's id."""
    return f"{failure[0]}-{failure[1]}"


FAILURES: list[Failure] = [(outcome, code) for outcome, codes in CODES.items() for code in codes]


BLOCKED: dict[str, BlockedRoutes] = {
    "open": {},
    "busy": {FIRST: Blocked(3, "")},
    "away": {FIRST: Blocked(20, "provider_down")},
    "no key": {FIRST: Blocked(40, "provider_auth")},
    "other busy": {HUB.route: Blocked(3, "")},
    "both busy": {FIRST: Blocked(9, ""), HUB.route: Blocked(3, "")},
    "away, other busy": {FIRST: Blocked(20, "provider_down"), HUB.route: Blocked(3, "")},
    "no key, other away": {FIRST: Blocked(40, "provider_auth"), HUB.route: Blocked(20, "provider_down")},
    "no keys": {FIRST: Blocked(40, "provider_auth"), HUB.route: Blocked(40, "provider_credits")},
}
