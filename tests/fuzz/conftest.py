"""Counts the cases that were tried, and says at the end how many there were."""

from __future__ import annotations

from collections import Counter

import pytest

CASES = pytest.StashKey[Counter[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Start the count."""
    config.stash[CASES] = Counter()


@pytest.fixture
def tally(pytestconfig: pytest.Config) -> Counter[str]:
    """The cases that were tried so far, by the name of the check."""
    return pytestconfig.stash[CASES]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say how many cases were tried, in all and of each law."""
    tried = config.stash[CASES]
    if not tried:
        return
    for name, count in sorted(tried.items()):
        terminalreporter.write_line(f"{count:>7,}  {name}")
    terminalreporter.write_line(f"random cases tried: {tried.total():,}")
