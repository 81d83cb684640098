"""The judge of clients finds what `make clients` is to find, and the matrix shows it."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from PIL import Image

from tests.clients.columns import COLUMNS, LANDSCAPE, WIDE, Cell
from tests.clients.matrix import BEGIN, END, Row, heading, write
from tests.clients.session import Session, Told
from tests.clients.table import CLIENTS, Language


class Stub:
    """A client that tells its user what the test says, after so many jobs with so many references."""

    def __init__(self, told: Told, *, jobs: int = 1, references: int = 1) -> None:
        client = SimpleNamespace(can_edit=True, refusal_words="refused", fault_words="not available")
        self.environment = SimpleNamespace(client=client)
        stack = SimpleNamespace(simulator=SimpleNamespace(script=lambda steps, match: None))
        calls = [SimpleNamespace(references=references)]
        self.shared = SimpleNamespace(stack=stack, calls=lambda prompt: calls)
        self._told, self._jobs = told, jobs

    async def ask(self, what: str, prompt: str, *, is_hurried: bool = False) -> Told:
        """Tell it."""
        return self._told

    def jobs(self, prompt: str) -> int:
        """Tell it."""
        return self._jobs


async def judged(column: str, told: Told, **more: int) -> Cell:
    """Judge a client."""
    return await COLUMNS[column](cast(Session, Stub(told, **more)))


def drawn(*size: int) -> Told:
    """Make an image of a size."""
    file = io.BytesIO()
    Image.new("RGB", (size[0], size[1])).save(file, "PNG")
    return Told(images=(file.getvalue(),))


REFUSED = Told(kind="BadRequestError", message="openrouter refused this prompt", status=400)


@pytest.mark.parametrize(
    ("column", "told", "more"),
    [
        ("generate", drawn(*LANDSCAPE), {}),
        ("edit", drawn(*WIDE), {}),
        ("failure", REFUSED, {}),
        ("slow failure", REFUSED, {}),
        ("slow failure of an edit", REFUSED, {}),
        ("provider's fault", Told(kind="Error", message="The model is not available"), {}),
    ],
)
async def test_what_is_right_has_no_problem(column: str, told: Told, more: dict[str, int]) -> None:
    assert (await judged(column, told, **more)).problem == ""


@pytest.mark.parametrize(
    ("column", "told", "more", "problem"),
    [
        ("generate", drawn(*WIDE), {}, "not one image of 1248x832"),
        ("generate", Told(), {}, "not one image of 1248x832"),
        ("generate", REFUSED, {}, "refused this prompt"),
        ("generate", drawn(*LANDSCAPE), {"jobs": 2}, "not one job"),
        ("edit", drawn(1024, 1024), {}, "not one image of 1344x768"),
        ("edit", drawn(*WIDE), {"references": 0}, "references at the provider: [0]"),
        ("failure", Told(), {}, "the failure is not told"),
        ("slow failure", Told(kind="TypeError", message="of undefined"), {}, "'refused' is not in 'of undefined'"),
        ("slow failure", REFUSED, {"jobs": 3}, "not one job"),
        ("provider's fault", REFUSED, {}, "'not available' is not in"),
    ],
)
async def test_what_is_wrong_is_found(column: str, told: Told, more: dict[str, int], problem: str) -> None:
    assert problem in (await judged(column, told, **more)).problem


def test_a_row_shows_what_is_wrong() -> None:
    cells = {name: Cell("fine") for name in COLUMNS} | {"edit": Cell("1024x1024", "not one image")}
    row = Row("a client", "1.0", cells)
    assert row.line == "| a client | 1.0 | fine | ✗ 1024x1024 | fine | fine | fine | fine |"
    assert row.problems == ["a client: edit: not one image"]
    assert Row("a client", "1.0", not_run="no npm").problems == ["a client: no npm"]


def test_the_table_is_put_into_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write(page, heading())
    assert page.read_text().splitlines() == ["before", BEGIN, *heading(), END, "after"]


def test_every_client_has_a_version_of_its_own() -> None:
    assert [client.name for client in CLIENTS if not client.version] == [
        client.name for client in CLIENTS if client.language is Language.OURS
    ]
    assert len({client.name for client in CLIENTS}) == len(CLIENTS)
