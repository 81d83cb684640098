"""A Redis whose answers to scripts are lost: a proxy that reads what is asked and answered, and knows scripts by name.

A script has always run when its answer is lost. "closed": the connection breaks instead of the answer. "swallowed":
nothing comes on the connection any more until the client gives it up.
"""

from __future__ import annotations

import asyncio
import hashlib
from asyncio import StreamReader, StreamWriter
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal

from contract.store.scripts import LUA, script_text
from tests.support.network.loopback import LoopbackServer

Mode = Literal["closed", "swallowed"]
MODES: tuple[Mode, ...] = ("closed", "swallowed")
LIMIT = 2**26  # bytes of a line or a text


def script_names() -> list[str]:
    """List the scripts of the folder: a new one is among them."""
    files = sorted(Path(str(LUA)).rglob("*.lua"))
    names = (str(file.relative_to(str(LUA)).with_suffix("")) for file in files)
    return [name for name in names if not name.startswith("include/")]


def names_by_digest(edited: Callable[[str], str] = str) -> dict[str, str]:
    """Tell the name of each script by the digest that clients call it by."""
    texts = {name: edited(script_text(name)) for name in script_names()}
    return {hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(): name for name, text in texts.items()}


class LossyRedis(LoopbackServer):
    """Leads connections to a Redis, and loses the answers that it is told to lose."""

    def __init__(self, to: Path, names: Mapping[str, str]) -> None:
        super().__init__()
        self._to = to
        self._names = names
        self._choose: Callable[[str], Mode | None] = lambda _: None
        self.lost: Counter[str] = Counter()

    def lose(self, name: str, mode: Mode, *, times: int = 1) -> None:
        """Lose the next answers of a script."""
        self.lost.clear()
        self._choose = lambda asked: mode if asked == name and self.lost[name] < times else None

    def lose_some(self, choose: Callable[[str], Mode | None]) -> None:
        """Lose the answers that are chosen, one after the other, by the names of their scripts."""
        self._choose = choose

    async def talk(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Carry what is asked and answered until one of the ends, or a loss, closes the connection."""
        try:
            upper, up = await asyncio.open_unix_connection(self._to, limit=LIMIT)
        except OSError:  # Redis is away
            return
        asked: deque[str] = deque()
        ways = {
            asyncio.create_task(self._ask(reader, up, asked)),
            asyncio.create_task(self._answer(upper, writer, asked)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            up.transport.abort()

    async def _ask(self, reader: StreamReader, up: StreamWriter, asked: deque[str]) -> None:
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                raw = await read_value(reader)
                asked.append(self._name_of(raw))
                up.write(raw)
                await up.drain()

    async def _answer(self, upper: StreamReader, down: StreamWriter, asked: deque[str]) -> None:
        is_silent = False
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                raw = await read_value(upper)
                name = asked.popleft() if asked else ""  # what is published comes without being asked for
                mode = self._choose(name) if name and not raw.startswith(b"-") else None
                if mode:
                    self.lost[name] += 1
                if mode == "closed":
                    return
                is_silent = is_silent or mode == "swallowed"
                if not is_silent:
                    down.write(raw)
                    await down.drain()

    def _name_of(self, raw: bytes) -> str:
        """Tell which script a command runs, "" if none that is known."""
        words = raw.split(b"\r\n", 5)
        is_script = len(words) > 4 and words[2].upper() == b"EVALSHA"
        return self._names.get(words[4].decode(), "") if is_script else ""


async def read_value(reader: StreamReader) -> bytes:
    """Read one value of Redis's protocol, as it is on the line."""
    line = await reader.readuntil(b"\r\n")
    kind, size = line[:1], line[1:-2]
    if kind in (b"$", b"=", b"!"):
        return line if int(size) < 0 else line + await reader.readexactly(int(size) + 2)
    if kind in (b"*", b"~", b">", b"%", b"|"):
        many = max(int(size), 0) * (2 if kind in (b"%", b"|") else 1)
        return b"".join([line, *[await read_value(reader) for _ in range(many)]])
    return line


def every(names: Iterable[str]) -> Callable[[str], Mode | None]:
    """Choose the answers of some scripts, each mode in its turn."""
    turns: Counter[str] = Counter()

    def choose(name: str) -> Mode | None:
        if name not in names:
            return None
        turns[name] += 1
        return MODES[turns[name] % 2]

    return choose
