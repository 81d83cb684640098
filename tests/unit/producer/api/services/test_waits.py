"""How many answers wait: no owner takes the places of all others."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import count

import pytest

from contract.errors.exceptions import Refused
from producer.api.services.waits import Waits


def filled(waits: Waits, places: ExitStack, owner: str) -> tuple[int, str]:
    """Wait as an owner until that is refused; tell how often it was not, and the code."""
    for number in count():
        try:
            places.enter_context(waits.join(owner))
        except Refused as refused:
            return number, refused.code
    raise AssertionError


def test_an_owner_has_so_many_and_half_of_what_others_leave() -> None:
    waits = Waits(most=64, most_each=20)
    with ExitStack() as places:
        owners = ("ann", "bob", "cid", "dee")
        assert [filled(waits, places, owner) for owner in owners] == [
            (20, "too_many_waits"),
            (18, "too_many_waits"),
            (9, "too_many_waits"),
            (4, "too_many_waits"),
        ]
        assert sum(filled(waits, places, f"owner-{number}")[0] for number in range(9)) == 64 - 51
        assert filled(waits, places, "zoe") == (0, "too_busy")
    with ExitStack() as places:
        assert filled(waits, places, "zoe") == (20, "too_many_waits")


def test_an_answer_that_need_not_wait_is_told_so() -> None:
    waits = Waits(most=64, most_each=1)
    with waits.join_if_possible("ann") as first, waits.join_if_possible("ann") as second:
        assert (first, second) == (True, False)
    with pytest.raises(KeyError), waits.join_if_possible("ann"):
        raise KeyError  # what goes wrong within passes
    with waits.join_if_possible("ann") as again:
        assert again
