"""The laws of `tests/fuzz` with a few cases each, the same ones every time; `make fuzz` tries thousands of others."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.fuzz.laws import LAWS

SMOKE = 25


@pytest.mark.parametrize("name", LAWS)
def test_every_law_holds_for_a_few(name: str) -> None:
    LAWS[name].enforce(SMOKE, Counter(), True)
