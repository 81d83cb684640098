"""Terminals of a reader: one that blocks are typed into one after the other, and those where a program stays."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.support.pages.block import Block

LINE_BYTES = 2**22
# A reader notices that a request failed.
BEGINNING = 'set -euo pipefail\ncurl() { command curl --fail-with-body --silent --show-error "$@"; }\n'


class Terminal:
    """A shell in a folder; variables stay from block to block, and a command that fails is the end."""

    def __init__(self, process: Process, folder: Path) -> None:
        self.folder = folder
        self._process = process
        self._told = ""

    async def type(self, block: Block, *, within_s: float = 60) -> str:
        """Type a block in, and answer what was printed."""
        place = self._save(block, ".sh")
        return await self._ask(f". {place} </dev/null", block.name, within_s)

    async def run_python(self, block: Block, *, within_s: float = 60) -> str:
        """Run a block with the terminal's `python`."""
        return await self.ask(f"python {self._save(block, '.py')}", within_s=within_s)

    async def ask(self, line: str, *, within_s: float = 60) -> str:
        """Type a line of our own."""
        return await self._ask(f"{line} </dev/null", line, within_s)

    async def _ask(self, line: str, name: str, within_s: float) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\nprintf '\\nover\\n'\n".encode())
        told = ""
        try:
            async with asyncio.timeout(within_s):
                while (answer := await self._process.stdout.readline()) not in (b"", b"over\n"):
                    told += answer.decode()
        except TimeoutError as error:
            raise AssertionError(f"{name} takes too long:\n{told}") from error
        assert answer, f"{name} failed:\n{told}"
        return told.removesuffix("\n")

    def _save(self, block: Block, suffix: str) -> Path:
        place = self.folder / f".{block.slug}-{block.line}{suffix}"
        place.write_text(block.text)
        return place


@asynccontextmanager
async def open_terminal(folder: Path, environment: Mapping[str, str]) -> AsyncIterator[Terminal]:
    """Open a shell in a folder, and end it."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "--norc", "-s"),
        cwd=folder,
        env=dict(environment),
        stdin=PIPE,
        stdout=PIPE,
        stderr=STDOUT,
        start_new_session=True,
        limit=LINE_BYTES,
    )
    try:
        assert process.stdin is not None
        process.stdin.write(BEGINNING.encode())
        yield Terminal(process, folder)
    finally:
        _signal(process, signal.SIGKILL)
        await process.wait()


@asynccontextmanager
async def staying(
    block: Block, folder: Path, environment: Mapping[str, str], *, ready: str = "", typed: str = ""
) -> AsyncIterator[list[str]]:
    """Run a block whose last program stays, wait for the words that say it is ready, and press Ctrl-C at the end."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "--norc", "-euo", "pipefail", "-c", block.text),
        cwd=folder,
        env=dict(environment),
        stdin=PIPE if typed else DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
        start_new_session=True,
        limit=LINE_BYTES,
    )
    if typed:
        assert process.stdin is not None
        process.stdin.write(f"{typed}\n".encode())
    told = list[str]()
    listening = asyncio.create_task(_listen(process, told))
    try:
        await _wait_for(ready, told, listening)
        yield told
        _signal(process, signal.SIGINT)
        async with asyncio.timeout(60):
            await listening
    finally:
        _signal(process, signal.SIGKILL)
        await process.wait()


async def _wait_for(words: str, told: list[str], listening: asyncio.Task[None]) -> None:
    deadline = asyncio.get_running_loop().time() + 60
    while words and not any(words in line for line in told):
        is_over = listening.done() or asyncio.get_running_loop().time() > deadline
        assert not is_over, f"it does not say {words!r}:\n{''.join(told)}"
        await asyncio.sleep(0.05)


async def _listen(process: Process, told: list[str]) -> None:
    assert process.stdout is not None
    while line := await process.stdout.readline():
        told.append(line.decode())


def _signal(process: Process, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
