"""A law: what has to hold for whatever input, and how many inputs a full run throws at it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

Case = TypeVar("Case")

_CALM = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)


@dataclass(frozen=True, slots=True)
class Law:
    """One law; `enforce(most, tally, repeatable)` raises what breaks it, and counts the cases it tried."""

    cases: int
    enforce: Callable[[int, Counter[str], bool], None]


def law(
    strategy: SearchStrategy[Case], check: Callable[[Case], None], *, cases: int, known: tuple[Case, ...] = ()
) -> Law:
    """State that `check` passes for whatever the strategy brings, and for the cases that once broke it."""

    def enforce(most: int, tally: Counter[str], repeatable: bool) -> None:
        def counted(_: Case) -> bool:
            tally[check.__name__] += 1
            return True

        for case in filter(counted, known):
            check(case)
        how = settings(
            max_examples=most,
            deadline=None,
            derandomize=repeatable,
            print_blob=not repeatable,
            suppress_health_check=_CALM,
        )
        how(given(strategy.filter(counted))(check))()

    return Law(cases, enforce)
