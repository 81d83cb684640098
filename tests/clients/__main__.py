"""`python -m tests.clients [word …]`: a row for each client, and exit 1 if one did not manage."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from tests.clients.desk import Desk, cells
from tests.clients.environment import NotInstalled, install
from tests.clients.matrix import Row, heading, write
from tests.clients.table import CLIENTS, Client
from tests.support.stack.shared_stack import open_shared_stack


def main() -> None:
    """Run the clients and print the matrix."""
    parser = argparse.ArgumentParser(prog="python -m tests.clients", description=__doc__)
    parser.add_argument("words", nargs="*", metavar="word", help="only clients whose name has one of these words")
    parser.add_argument("--write", type=Path, help="a page that has the table")
    wishes = parser.parse_args()
    chosen = [client for client in CLIENTS if _is_named(client, wishes.words)]
    with tempfile.TemporaryDirectory(prefix="dr-") as folder:
        rows = asyncio.run(_print(chosen, Path(folder)))
    if wishes.write:
        write(wishes.write, [*heading(), *(row.line for row in rows)])
    problems = [problem for row in rows for problem in row.problems]
    print(*(f"NOT AS PROMISED: {problem}" for problem in problems), sep="\n", flush=True)
    sys.exit(1 if problems or not rows else 0)


def _is_named(client: Client, words: Sequence[str]) -> bool:
    return not words or any(word.lower() in client.name.lower() for word in words)


async def _print(clients: Sequence[Client], folder: Path) -> list[Row]:
    print(*heading(), sep="\n", flush=True)
    rows = []
    async for row in _rows(clients, folder):
        print(row.line, flush=True)
        rows.append(row)
    return rows


async def _rows(clients: Sequence[Client], folder: Path) -> AsyncIterator[Row]:
    """Install one client after another, and have it do everything."""
    stack = folder / "stack"
    stack.mkdir()
    async with open_shared_stack(stack) as shared:
        desk = await Desk.open(shared)
        for client in clients:
            with tempfile.TemporaryDirectory(dir=folder) as own:
                yield await _row(desk, client, Path(own))


async def _row(desk: Desk, client: Client, folder: Path) -> Row:
    try:
        environment = await install(client, folder)
        async with desk.session(environment) as session:
            return Row(client.name, environment.version, await cells(session))
    except (NotInstalled, AssertionError) as error:
        return Row(client.name, client.version, not_run=str(error))


if __name__ == "__main__":
    main()
