"""`darkroom list` follows the pages, which are short where jobs are large."""

from __future__ import annotations

from typing import Any

import pytest

from contract.jobs.job import JobState
from producer.cli.job_commands import newest

QUEUED = frozenset({JobState.QUEUED})
PAGES: dict[str | None, tuple[list[str], str | None]] = {None: (["a"], "1"), "1": ([], "2"), "2": (["b", "c"], None)}


class Pages:
    """A client with three pages, of one job, of none and of two."""

    def __init__(self) -> None:
        self.asked: list[tuple[str | None, int]] = []

    async def page(self, *, before: str | None, limit: int, state: object) -> tuple[list[str], str | None]:
        """Show a page."""
        assert state is QUEUED
        self.asked.append((before, limit))
        jobs, cursor = PAGES[before]
        return jobs[:limit], cursor


@pytest.mark.parametrize(
    ("limit", "asked", "found"),
    [
        (1, [(None, 1)], ["a"]),
        (2, [(None, 2), ("1", 1), ("2", 1)], ["a", "b"]),
        (9, [(None, 9), ("1", 8), ("2", 8)], ["a", "b", "c"]),
    ],
)
async def test_pages_are_followed_until_there_are_enough(
    limit: int, asked: list[tuple[str | None, int]], found: list[str]
) -> None:
    client: Any = Pages()
    jobs: list[Any] = await newest(client, limit, QUEUED)
    assert jobs == found
    assert client.asked == asked
