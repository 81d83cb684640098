"""The matrix: a row for each client, a column for each thing it has to manage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.clients.columns import COLUMNS, Cell

BEGIN, END = "<!-- clients -->", "<!-- end of clients -->"


@dataclass(frozen=True, slots=True)
class Row:
    """How a client fared; without cells it could not be run."""

    client: str
    version: str
    cells: Mapping[str, Cell] = field(default_factory=dict)
    not_run: str = ""

    @property
    def line(self) -> str:
        """Write it as a line of a table."""
        return _line([self.client, self.version, *(_shown(self.cells.get(name)) for name in COLUMNS)])

    @property
    def problems(self) -> list[str]:
        """Say what is wrong."""
        wrong = [f"{self.client}: {column}: {cell.problem}" for column, cell in self.cells.items() if cell.problem]
        return [f"{self.client}: {self.not_run}"] if self.not_run else wrong


def heading() -> list[str]:
    """Begin the table."""
    head = ["client", "version", *COLUMNS]
    return [_line(head), _line(["---"] * len(head)).replace(" ", "")]


def write(page: Path, lines: Sequence[str]) -> None:
    """Put the table into a page, between two marks."""
    head, begin, rest = page.read_text().partition(BEGIN)
    _, end, tail = rest.partition(END)
    assert begin, f"{page} has no {BEGIN}"
    assert end, f"{page} has no {END}"
    table = "\n".join(lines)
    page.write_text(f"{head}{BEGIN}\n{table}\n{END}{tail}")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _shown(cell: Cell | None) -> str:
    if cell is None:
        return "not run"
    return f"✗ {cell.text}" if cell.problem else cell.text
