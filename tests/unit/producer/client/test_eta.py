"""How long a queued job will still take, by table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.store.job_reader import Pace
from producer.client.eta import expected

TENS = (10.0, 10.0, 10.0)
SPREAD = (10.0, 20.0, 30.0, 40.0, 50.0)  # quartiles 20 and 40


@pytest.mark.parametrize(
    ("durations_s", "position", "slots", "running", "seconds"),
    [
        ((), 0, 8, 0, None),
        ((10.0, 10.0), 0, 8, 0, None),
        (TENS, 0, 0, 0, None),
        (TENS, 0, 8, 0, (10, 10)),
        (TENS, 7, 8, 0, (10, 10)),
        (TENS, 8, 8, 0, (20, 20)),
        (TENS, 0, 8, 7, (10, 10)),
        (TENS, 0, 8, 8, (20, 20)),
        (TENS, 7, 8, 8, (20, 20)),
        (TENS, 8, 8, 8, (30, 30)),
        (TENS, 0, 1, 1, (20, 20)),
        (TENS, 3, 1, 1, (50, 50)),
        (TENS, 0, 4, 8, (30, 30)),  # those of a dead worker run once more
        (SPREAD, 0, 8, 0, (20, 40)),
        (SPREAD, 8, 8, 8, (60, 120)),
        ((0.25, 0.25, 0.5), 0, 8, 0, (0, 1)),
        ((1.2, 1.2, 1.2), 0, 1, 1, (2, 3)),
        ((-5.0, -5.0, -5.0), 0, 8, 0, (0, 0)),  # the clock was set back
    ],
)
def test_a_job_takes_its_rounds_and_its_own_time(
    durations_s: tuple[float, ...], position: int, slots: int, running: int, seconds: tuple[int, int] | None
) -> None:
    assert expected(Pace(durations_s=durations_s, slots=slots, running=running), position) == seconds


COUNTS = st.integers(0, 10_000)


@given(st.lists(st.floats(0, 86_400), min_size=3, max_size=20), COUNTS, st.integers(1, 1000), COUNTS)
def test_the_range_is_one_and_nobody_waits_less_for_more(
    durations_s: list[float], position: int, slots: int, running: int
) -> None:
    pace = Pace(durations_s=tuple(durations_s), slots=slots, running=running)
    seconds, longer = expected(pace, position), expected(pace, position + 1)
    assert seconds is not None
    assert longer is not None
    assert 0 <= seconds[0] <= seconds[1]
    assert seconds <= longer
