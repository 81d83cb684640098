"""A crowd that stands still lets nobody in any more."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from contract.errors.exceptions import Refused
from producer.client import load_shedding
from producer.client.load_shedding import FEW, LoadShedder


@pytest.mark.parametrize(("there", "long_s", "is_refused"), [(FEW, 0, True), (FEW - 1, 0, False), (FEW, 60, False)])
def test_more_are_sent_away_when_many_have_been_there_for_long(
    there: int, long_s: float, is_refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_shedding, "LONG_S", long_s)
    those = LoadShedder()
    with ExitStack() as stack:
        for _ in range(there):
            stack.enter_context(those.join())
        assert is_sent_away(those) == is_refused
    assert not is_sent_away(those)


def is_sent_away(those: LoadShedder) -> bool:
    """Tell whether one more would be sent away."""
    try:
        those.check()
    except Refused as refused:
        return (refused.code, refused.values) == ("too_busy", {"retry_after_s": 2})
    return False
