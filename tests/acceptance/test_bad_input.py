"""The catalogue of bad input against a real gateway, row by row: what is said of it, and that nothing is left of it."""

from __future__ import annotations

import pytest
from bad_input.checks import check_case
from bad_input.gate import Gate
from bad_input.paths import PATHS
from bad_input.requests import REQUESTS
from bad_input.strangers import STRANGERS

pytestmark = pytest.mark.real_redis
CASES = {case.name: case for case in (*PATHS, *REQUESTS, *STRANGERS)}


@pytest.mark.parametrize("name", CASES)
def test_bad_input(name: str, gate: Gate) -> None:
    check_case(gate, CASES[name])
