"""Times in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.jobs.duration import duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        *((0, "1 s"), (0.4, "1 s"), (2, "2 s"), (59.6, "60 s"), (119, "119 s"), (120, "2 min"), (300, "5 min")),
        *((7199, "120 min"), (7200, "2 h"), (86_400, "24 h"), (259_199, "72 h"), (259_200, "several days")),
        *((1e99, "several days"), (float("inf"), "several days"), (-3, "1 s")),
    ],
)
def test_a_time_is_said_as_people_do(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@given(st.floats(0, 1e12))
def test_any_time_is_short_to_say(seconds: float) -> None:
    assert len(duration(seconds)) <= len("several days")
