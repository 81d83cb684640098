"""The catalogue of bad input against a real gateway, row by row: what is said of it, and that nothing is left of it."""

from __future__ import annotations

import statistics

import pytest

from tests.catalogues.bad_input.callers import STRANGERS
from tests.catalogues.bad_input.checks import check_case, check_log
from tests.catalogues.bad_input.gateway import Gateway
from tests.catalogues.bad_input.paths import PATHS
from tests.catalogues.bad_input.requests import REQUESTS

pytestmark = pytest.mark.real_redis
CASES = {case.name: case for case in (*PATHS, *REQUESTS, *STRANGERS)}
MOST_S = 0.2  # at the median; the catalogue says 0.05, of a machine that has nothing else to do


@pytest.mark.parametrize("name", CASES)
def test_bad_input(name: str, gateway: Gateway) -> None:
    check_case(gateway, CASES[name])


def test_bad_input_is_answered_at_once(gateway: Gateway) -> None:
    assert len(gateway.took_s) > 100
    median_s = statistics.median(gateway.took_s)
    print(f"median {median_s * 1000:.1f} ms, slowest {max(gateway.took_s) * 1000:.0f} ms of {len(gateway.took_s)}")
    assert median_s < MOST_S


def test_B88_the_log_holds_neither_prompts_nor_tokens(gateway: Gateway) -> None:
    check_log(gateway)
