"""A crowd that stands still lets nobody in any more."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from contract.errors.exceptions import Refused
from producer.client import load_shedding
from producer.client.load_shedding import FEW, MOST, LoadShedder


@pytest.mark.parametrize(("there", "long_s", "is_refused"), [(FEW, 0, True), (FEW - 1, 0, False), (FEW, 60, False)])
def test_more_are_sent_away_when_many_have_been_there_for_long(
    there: int, long_s: float, is_refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_shedding, "LONG_S", long_s)
    those = LoadShedder()
    with ExitStack() as stack:
        for _ in range(there):
            stack.enter_context(those.join("ann"))
        assert is_sent_away(those) == is_refused
    assert not is_sent_away(those)


@pytest.mark.parametrize(
    ("others", "mine", "is_refused"),
    [
        ({"bob": 400}, 0, False),  # a crowd of one owner refuses no other one
        ({"bob": 400}, FEW // 2 - 1, False),
        ({"bob": 400}, FEW // 2, True),
        ({"bob": 20, "carl": 20, "dora": 20}, FEW // 4, True),
        ({f"owner {number}": 1 for number in range(100)}, 0, False),
        ({f"owner {number}": 1 for number in range(100)}, 1, True),
        ({f"owner {number}": 1 for number in range(MOST)}, 0, True),  # names are easily made up
    ],
)
def test_those_who_stand_still_share_the_room_by_owner(
    others: dict[str, int], mine: int, is_refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_shedding, "LONG_S", 0)
    those = LoadShedder()
    with ExitStack() as stack:
        for owner, count in {**others, "ann": mine}.items():
            for _ in range(count):
                stack.enter_context(those.join(owner))
        assert is_sent_away(those) == is_refused
    assert not those._each


def is_sent_away(those: LoadShedder) -> bool:
    """Tell whether one more of Ann's would be sent away."""
    try:
        those.check("ann")
    except Refused as refused:
        return (refused.code, refused.values) == ("too_busy", {"retry_after_s": 2})
    return False
