"""How much of what arrives may be one owner's: there is room for one more owner, however many send slowly."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress

import pytest

from contract.errors.exceptions import Refused
from producer.api.services.body_budget import LEAST_EACH, MOST, MOST_EACH, RESERVE, BodyBudget

MIB = 2**20


def is_taken(budget: BodyBudget, owner: str, size: int) -> bool:
    """Tell whether one more body would be taken."""
    with budget.of(owner).arrive() as count:
        return is_counted(count, size)


def is_counted(count: Callable[[int], None], size: int) -> bool:
    """Tell whether so much more of a body is taken."""
    try:
        count(size)
    except Refused as refused:
        return (refused.code, refused.values) not in [
            (code, {"retry_after_s": 5}) for code in ("too_many_bytes", "too_busy")
        ]
    return True


def test_one_owner_has_a_bound_over_all_bodies_together() -> None:
    budget = BodyBudget()
    with ExitStack() as bodies:
        for _ in range(3):
            bodies.enter_context(budget.of("ann").arrive())(MOST_EACH // 3)
        assert not is_taken(budget, "ann", 1)
        assert is_taken(budget, "bob", 32 * MIB)
    assert is_taken(budget, "ann", MOST_EACH)


def test_a_body_whose_length_is_not_told_is_counted_as_it_comes() -> None:
    budget = BodyBudget()
    with budget.of("ann").arrive() as count:
        for _ in range(96):
            count(MIB)
        with pytest.raises(Refused):
            count(MIB)


def test_however_many_owners_send_there_is_room_for_another_one() -> None:
    budget = BodyBudget()
    with ExitStack() as bodies:
        total = 0
        for number in range(6):
            count = bodies.enter_context(budget.of(f"owner-{number}").arrive())
            while is_counted(count, MIB):
                total += MIB
            assert is_taken(budget, "small", LEAST_EACH)
        assert total <= MOST


def test_what_has_arrived_or_broken_off_counts_no_more() -> None:
    budget = BodyBudget()
    with suppress(ConnectionError), budget.of("ann").arrive() as count:
        count(MOST_EACH)
        assert budget._arriving
        raise ConnectionError
    assert not budget._arriving
    assert is_taken(budget, "ann", MOST_EACH)


def test_owners_whose_names_are_made_up_have_a_bound_in_all() -> None:
    budget = BodyBudget()
    with ExitStack() as bodies:
        counts = [bodies.enter_context(budget.of(f"owner-{number}").arrive()) for number in range(500)]
        taken = sum(is_counted(count, LEAST_EACH) for count in counts)
        assert taken * LEAST_EACH <= MOST + RESERVE
        assert taken >= MOST // LEAST_EACH
