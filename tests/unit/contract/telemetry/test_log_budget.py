"""Lines of a kind that come too often are left out, and counted."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from contract.telemetry import log_budget
from contract.telemetry.log_budget import MINUTE_S, BoundedHandler, Kind, LogBudget, kind_of
from contract.telemetry.logs import LogFormatter

logger = logging.getLogger("test.budget")


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What is written where three lines a minute may be, and one traceback."""
    monkeypatch.setattr(log_budget, "MOST_OTHER", 3)
    monkeypatch.setattr(log_budget, "MOST_INFO", 5)
    monkeypatch.setattr(log_budget, "MOST_TRACEBACKS", 1)
    handler, written = BoundedHandler(), io.StringIO()
    handler.setStream(written)
    handler.setFormatter(LogFormatter("%(levelname)s %(name)s: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    yield written
    logger.removeHandler(handler)
    handler.close()
    logger.propagate = True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands still."""
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_so_many_lines_of_a_kind_are_written_a_minute_whatever_is_filled_in(
    log: io.StringIO, clock: list[float]
) -> None:
    for number in range(50):
        logger.warning("refused %s", f"anything {number}")
    logger.warning("something else")
    logger.error("refused %s", "as an error")
    assert log.getvalue().splitlines() == [
        *(f"WARNING test.budget: refused anything {number}" for number in range(3)),
        "WARNING test.budget: something else",
        "ERROR test.budget: refused as an error",
    ]


def test_the_next_line_after_that_minute_tells_how_many_were_left_out(log: io.StringIO, clock: list[float]) -> None:
    for _ in range(2):
        for number in range(10):
            logger.warning("refused %s", number)
        clock[0] += MINUTE_S
    logger.info("a line of another kind")
    lines = log.getvalue().splitlines()
    told = "WARNING test.budget: 7 more lines were left out, as there were 3 in a minute: refused %s"
    assert lines[3] == told
    assert lines[7:] == [told, "INFO test.budget: a line of another kind"]


def test_the_end_of_a_process_tells_it_too(log: io.StringIO) -> None:
    for number in range(10):
        logger.warning("refused %s", number)
    logger.handlers[0].close()
    assert log.getvalue().splitlines()[3:] == [
        "WARNING test.budget: 7 more lines were left out, as there were 3 in a minute: refused %s"
    ]


def test_tracebacks_have_a_smaller_bound_and_lines_of_work_a_larger_one(log: io.StringIO) -> None:
    for _ in range(10):
        logger.error("broke", exc_info=ValueError("x"))
        logger.info("done")
    assert (log.getvalue().count("ValueError: x"), log.getvalue().count("done")) == (1, 5)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("task 17 at 0x7f00 broke", "task 4 at 0xbeef broke", True),
        ("x" * 200 + "a", "x" * 200 + "b", True),
        ("cannot read", "cannot write", False),
    ],
)
def test_numbers_and_addresses_make_no_other_kind(one: str, other: str, same: bool) -> None:
    kinds = [kind_of(logging.LogRecord("test", 30, "", 0, words, (), None)) for words in (one, other)]
    assert (kinds[0] == kinds[1]) == same


def test_kinds_are_bounded_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_budget, "MOST_KINDS", 10)
    monkeypatch.setattr(log_budget, "MOST_OTHER", 2)
    budget = LogBudget()
    written = [budget.count(Kind("a.b", 30, f"words {number}"), 0) for number in range(100)]
    assert sum(written) == 10 + 2
    assert list(budget.take_ended(MINUTE_S)) == [(Kind("a", 30), 88)]
    assert budget.count(Kind("a.b", 30, "more words"), MINUTE_S)
