"""Random input for minutes: whatever comes, nothing but our own exceptions comes out, or something well formed."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.fuzz.laws import LAWS

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(400)]


@pytest.mark.parametrize("name", LAWS)
def test_every_law_holds(name: str, tally: Counter[str]) -> None:
    LAWS[name].enforce(LAWS[name].cases, tally, False)
